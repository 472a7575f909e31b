/** Every generated function, so also the addresses with the id of the user. */

import { type Client, createTasksClient } from "tasks-api-client";
import * as operations from "tasks-api-client/operations";
import { expect, test } from "vitest";

import { collect, newClient, newUser, stage } from "./stage.js";

type Name = keyof typeof operations;
type Call = (client: Client, user: string, id: string) => Promise<{ response: Response }>;

const milk = { title: "Buy milk" };
const of = (user_id: string, task_id: string) => ({ user_id, task_id });

/** A call of each. A missing one is an error of the compiler. */
const CALLS: Record<Name, Call> = {
  clearMyTasks: (client) => operations.clearMyTasks({ client, query: { status: "completed" } }),
  clearTasks: (client, user_id) => operations.clearTasks({ client, path: { user_id }, query: { status: "trashed" } }),
  completeAllMyTasks: (client) => operations.completeAllMyTasks({ client, body: { completed: true } }),
  completeAllTasks: (client, user_id) => operations.completeAllTasks({ client, path: { user_id }, body: { completed: true } }),
  createMyTask: (client) => operations.createMyTask({ client, body: milk }),
  createTask: (client, user_id) => operations.createTask({ client, path: { user_id }, body: milk }),
  deleteMe: (client) => operations.deleteMe({ client }),
  deleteMyTask: (client, _, task_id) => operations.deleteMyTask({ client, path: { task_id } }),
  deleteTask: (client, user, id) => operations.deleteTask({ client, path: of(user, id) }),
  deleteUser: (client, user_id) => operations.deleteUser({ client, path: { user_id } }),
  exportMyTasks: (client) => operations.exportMyTasks({ client, query: { format: "csv" } }),
  exportTasks: (client, user_id) => operations.exportTasks({ client, path: { user_id } }),
  getHealth: (client) => operations.getHealth({ client }),
  getMe: (client) => operations.getMe({ client }),
  getMyTask: (client, _, task_id) => operations.getMyTask({ client, path: { task_id } }),
  getReadiness: (client) => operations.getReadiness({ client }),
  getTask: (client, user, id) => operations.getTask({ client, path: of(user, id) }),
  getUser: (client, user_id) => operations.getUser({ client, path: { user_id } }),
  importMyTasks: (client) => operations.importMyTasks({ client, body: [milk] }),
  importTasks: (client, user_id) => operations.importTasks({ client, path: { user_id }, body: [milk] }),
  listMyTasks: (client) => operations.listMyTasks({ client, query: { sort: "-created" } }),
  listTasks: (client, user_id) => operations.listTasks({ client, path: { user_id } }),
  patchMyTask: (client, _, task_id) => operations.patchMyTask({ client, path: { task_id }, body: { completed: true } }),
  patchTask: (client, user, id) => operations.patchTask({ client, path: of(user, id), body: { description: null } }),
  restoreMyTask: (client, _, task_id) => operations.restoreMyTask({ client, path: { task_id } }),
  restoreTask: (client, user, id) => operations.restoreTask({ client, path: of(user, id) }),
  toggleMyTask: (client, _, task_id) => operations.toggleMyTask({ client, path: { task_id } }),
  toggleMyTaskCompletion: (client, _, task_id) => operations.toggleMyTaskCompletion({ client, path: { task_id } }),
  toggleTask: (client, user, id) => operations.toggleTask({ client, path: of(user, id) }),
  toggleTaskCompletion: (client, user, id) => operations.toggleTaskCompletion({ client, path: of(user, id) }),
  updateMyTask: (client, _, task_id) => operations.updateMyTask({ client, path: { task_id }, body: milk }),
  updateTask: (client, user, id) => operations.updateTask({ client, path: of(user, id), body: { completed: true } }),
  verifyToken: (client) => operations.verifyToken({ client }),
};

/** The service refuses an `Idempotency-Key` where the document has none. */
test.for(Object.keys(operations) as Name[])("%s succeeds, with a key if the document has one", async (name) => {
  let keyed = false;
  const watching: typeof fetch = (url, request) => {
    keyed = new Headers(request?.headers).has("Idempotency-Key");
    return fetch(url, request);
  };
  const { token } = await newUser();
  const client = createTasksClient({ baseUrl: stage.service, token, fetch: watching });
  const task = await client.tasks.create(milk);
  const { response } = await CALLS[name](client, task.user_id, task.id);
  expect([response.ok, keyed]).toEqual([true, stage.keyed.includes(name)]);
});

test.for(Object.keys(operations) as Name[])("%s is answered by the mock", async (name) => {
  const client = createTasksClient({ baseUrl: stage.mock, token: "any", retry: { attempts: 1 } });
  const { response } = await CALLS[name](client, "ada", "01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47");
  expect(response.ok).toBe(true);
});

test("a list of the mock, whose pages all name the same next one, ends", async () => {
  const { tasks } = createTasksClient({ baseUrl: stage.mock, token: "any" });
  expect(await collect(tasks.list())).toHaveLength(4);
});

test("a read of a version that is known has no content", async () => {
  const client = await newClient();
  const { id: task_id } = await client.tasks.create(milk);
  const { response } = await operations.getMyTask({ client, path: { task_id } });
  const known = { "If-None-Match": response.headers.get("ETag")! };
  const again = await operations.getMyTask({ client, path: { task_id }, headers: known });
  expect([again.response.status, again.data]).toEqual([304, undefined]);
});
