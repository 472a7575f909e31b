import { createContext, useContext } from "react";
import { createTasksClient, type TasksClient } from "tasks-api-client";
import { accessToken } from "../auth/client";
import { apiUrl } from "../config";
import { watchedFetch } from "../connection";

export { TaskConflictError, TasksApiError } from "tasks-api-client";
export type { Task, TaskChanges, TasksClient, TaskSort, TaskStatus } from "tasks-api-client";

// Longer waits are the banner's, which says what it waits for.
const retry = { attempts: 3, maxDelay: 5_000 };

/** A client that acts for this user or not at all, whoever has signed in meanwhile. */
export const newClient = (userId: string): TasksClient =>
  createTasksClient({ baseUrl: apiUrl, token: () => accessToken(userId), fetch: watchedFetch, retry });

const ClientContext = createContext<TasksClient | null>(null);
export const ClientProvider = ClientContext.Provider;

/** The client of the user who is signed in. */
export const useClient = (): TasksClient => useContext(ClientContext)!;
