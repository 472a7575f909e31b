import { createTasksClient, type TasksClient } from "tasks-api-client";
import { accessToken, forgetToken } from "../auth/client";
import { apiUrl } from "../config";
import { watchedFetch } from "../connection";

export { TaskConflictError, TasksApiError } from "tasks-api-client";
export type { Task, TaskChanges, TaskSort, TaskStatus } from "tasks-api-client";

// Longer waits are the banner's, which says what it waits for.
const retry = { attempts: 3, maxDelay: 5_000 };

const newClient = (): TasksClient =>
  createTasksClient({ baseUrl: apiUrl, token: accessToken, fetch: watchedFetch, retry });

/** The client of the user who is signed in. It keeps the token until the service refuses it. */
export let client = newClient();

export function forgetUser(): void {
  forgetToken();
  client = newClient();
}
