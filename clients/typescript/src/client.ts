/** One object with everything, for applications that use most of it. */

import { deleteMe, getHealth, getMe, getReadiness, verifyToken } from "./generated/sdk.gen.js";
import type { Health, Readiness, TokenInfo, UserProfile } from "./generated/types.gen.js";
import * as functions from "./tasks.js";
import { type Client, type ClientOptions, createClient } from "./transport.js";

type Bound<Fn> = Fn extends (client: Client, ...rest: infer Rest) => infer Result ? (...rest: Rest) => Result : never;

/** The methods, with the text that an editor shows for each. */
const TASKS = {
  /** Yield the tasks of all pages. A page is requested when the ones before it have been consumed. */
  list: functions.listTasks,
  /** Yield the pages, from that of `cursor` on. */
  pages: functions.listTaskPages,
  /** Return one page of tasks and the cursor of the next, for a list that is loaded as its user scrolls. */
  page: functions.getTaskPage,
  /** Return the task with this id. */
  get: functions.getTask,
  /** Create a task, once: a repetition after a lost connection has the same `Idempotency-Key`. */
  create: functions.createTask,
  /** Change members of a task. Throws a `TaskConflictError` if a task is given and has changed since it was read. */
  update: functions.updateTask,
  /** Complete a task. It stays completed if it is already. */
  complete: functions.completeTask,
  /** Complete or reopen a task: the opposite of what the task shows. Of an id, without repetitions. */
  toggle: functions.toggleTask,
  /** Move a task to the trash, or delete it permanently, also from the trash. */
  delete: functions.deleteTask,
  /** Move a task from the trash back to the lists. */
  restore: functions.restoreTask,
  /** Complete all tasks, or reopen them, and return the number of tasks that changed. */
  completeAll: functions.completeAllTasks,
  /** Delete all completed tasks, or empty the trash, and return the number of tasks. */
  clear: functions.clearTasks,
  /** Delete all completed tasks, and return the number of tasks. */
  clearCompleted: (client: Client, options?: Parameters<typeof functions.clearTasks>[2]) =>
    functions.clearTasks(client, "completed", options),
  /** Delete all tasks in the trash permanently, and return the number of tasks. */
  emptyTrash: (client: Client, options?: functions.KeyOptions) => functions.clearTasks(client, "trashed", options),
  /** Yield all tasks as the service sends them. Throws a `ConnectionError` after those that arrived if some are missing. */
  export: functions.exportTasks,
  /** Return an export as a file, to be saved. */
  exportFile: functions.exportTaskFile,
  /** Import tasks, all of them or none. They are sent in one request, which takes at most 50,000 and 10 MiB. */
  import: functions.importTasks,
  /** Import a file in one of the formats of an export. */
  importFile: functions.importTaskFile,
};

/** A client of the service for one user. It can be passed to the functions and to the generated operations too. */
export interface TasksClient extends Client {
  /** The tasks of the token's user. */
  tasks: { [Name in keyof typeof TASKS]: Bound<(typeof TASKS)[Name]> };
  profile: {
    /** Return the user, with the numbers of tasks. */
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
