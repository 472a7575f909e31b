/** One object with everything, for applications that use most of it. */

import { deleteMe, getHealth, getMe, getReadiness, verifyToken } from "./generated/sdk.gen.js";
import type { Health, Readiness, TokenInfo, UserProfile } from "./generated/types.gen.js";
import * as functions from "./tasks.js";
import { type Client, type ClientOptions, createClient } from "./transport.js";

type Bound<Fn> = Fn extends (client: Client, ...rest: infer Rest) => infer Result ? (...rest: Rest) => Result : never;

const TASKS = {
  list: functions.listTasks,
  pages: functions.listTaskPages,
  page: functions.getTaskPage,
  get: functions.getTask,
  create: functions.createTask,
  update: functions.updateTask,
  complete: functions.completeTask,
  toggle: functions.toggleTask,
  delete: functions.deleteTask,
  restore: functions.restoreTask,
  completeAll: functions.completeAllTasks,
  clear: functions.clearTasks,
  clearCompleted: (client: Client, options?: Parameters<typeof functions.clearTasks>[2]) =>
    functions.clearTasks(client, "completed", options),
  emptyTrash: (client: Client, options?: functions.KeyOptions) => functions.clearTasks(client, "trashed", options),
  export: functions.exportTasks,
  exportFile: functions.exportTaskFile,
  import: functions.importTasks,
  importFile: functions.importTaskFile,
};

/** A client of the service for one user. It can be passed to the functions and to the generated operations too. */
export interface TasksClient extends Client {
  tasks: { [Name in keyof typeof TASKS]: Bound<(typeof TASKS)[Name]> };
  profile: {
    get(options?: functions.CallOptions): Promise<UserProfile>;
    /** Delete all data of the user permanently. */
    delete(options?: functions.CallOptions): Promise<void>;
  };
  /** Return the user and the expiry of the token. */
  verifyToken(options?: functions.CallOptions): Promise<TokenInfo>;
  /** Whether the service runs. */
  health(options?: functions.CallOptions): Promise<Health>;
  /** Whether the service can process requests. */
  ready(options?: functions.CallOptions): Promise<Readiness>;
}

/** Return a client for one user. Make another one when another user signs in, because it keeps the token. */
export function createTasksClient(options: ClientOptions): TasksClient {
  const client = createClient(options);
  const argumentsOf = (options?: functions.CallOptions) => ({ client, signal: options?.signal });
  const bound = Object.entries(TASKS).map(([name, fn]) => [
    name,
    (...rest: unknown[]) => (fn as (...all: unknown[]) => unknown)(client, ...rest),
  ]);
  return {
    ...client,
    tasks: Object.fromEntries(bound),
    profile: {
      get: async (call) => (await getMe(argumentsOf(call))).data,
      delete: async (call) => void (await deleteMe(argumentsOf(call))),
    },
    verifyToken: async (call) => (await verifyToken(argumentsOf(call))).data,
    health: async (call) => (await getHealth(argumentsOf(call))).data,
    ready: async (call) => (await getReadiness(argumentsOf(call))).data,
  };
}
