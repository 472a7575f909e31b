/** What an application does with the tasks of the token's user, as functions that a bundler can leave out one by one. */

import { ConnectionError, TasksApiError } from "./errors.js";
import * as operations from "./generated/sdk.gen.js";
import type {
  BulkResult,
  ClearMyTasksData,
  ImportRecord,
  ImportResult,
  ListMyTasksData,
  Task,
  TaskCreate,
  TaskFormat,
  TaskStatus,
  TaskUpdate,
} from "./generated/types.gen.js";
import { entityTag } from "./entity_tag.js";
import { linesOf } from "./lines.js";
import type { Client } from "./transport.js";
import { abortable } from "./waiting.js";

/** Members that the service sets. A change may contain them, for example in a copy of the task. */
const READ_ONLY = ["id", "user_id", "created_at", "updated_at"] as const;
type ReadOnly = (typeof READ_ONLY)[number];

type RequiredName<Members> = { [Name in keyof Members]-?: {} extends Pick<Members, Name> ? never : Name }[keyof Members];
/** What may be absent may be undefined too, also with `exactOptionalPropertyTypes`. */
type Lenient<Members> = Pick<Members, RequiredName<Members>> & {
  [Name in keyof Omit<Members, RequiredName<Members>>]?: Members[Name] | undefined;
};

/** The members of a new task that a client chooses. */
export type NewTask = Lenient<Omit<TaskCreate, ReadOnly>>;
/** The members of a task that get other values. */
export type TaskChanges = Lenient<Omit<TaskUpdate, ReadOnly>>;

export interface CallOptions {
  /** Ends the request, or the wait before its repetition. */
  signal?: AbortSignal | undefined;
}

export interface KeyOptions extends CallOptions {
  /** Identifies the request for 24 hours, also after a reload of the page. Without it, each call has a key of its own. */
  idempotencyKey?: string | undefined;
}

/** Selects and orders tasks. `limit` is the size of a page. */
export type ListParameters = Lenient<NonNullable<ListMyTasksData["query"]>> & CallOptions;

export interface TaskPage {
  tasks: Task[];
  /** The `cursor` of the next page; undefined on the last one. */
  next: string | undefined;
}

/** A task, whose version is sent with the change, or its id, to change whatever version there is. */
export type TaskOrId = Task | string;

const idOf = (task: TaskOrId) => (typeof task === "string" ? task : task.id);
const versionOf = (task: TaskOrId) => (typeof task === "string" ? {} : { headers: { "If-Match": entityTag(task) } });
const keyOf = ({ idempotencyKey: key }: KeyOptions) => (key === undefined ? {} : { headers: { "Idempotency-Key": key } });

/** Return one page of tasks, for a list that is loaded as its user scrolls. */
export async function getTaskPage(client: Client, parameters: ListParameters = {}): Promise<TaskPage> {
  const { signal, ...query } = parameters;
  const { data, response } = await operations.listMyTasks({ client, query, signal });
  const target = /<([^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
  const next = target && new URLSearchParams(target.slice(target.indexOf("?"))).get("cursor");
  // A mock that gives every page the same address of the next one has one more page, not pages without end.
  return { tasks: data, next: next && next !== query.cursor ? next : undefined };
}

/** Yield the pages, from that of `cursor` on. */
export async function* listTaskPages(client: Client, parameters: ListParameters = {}): AsyncGenerator<TaskPage, void> {
  let next: string | undefined;
  do {
    const page = await getTaskPage(client, next ? { ...parameters, cursor: next } : parameters);
    yield page;
    next = page.next;
  } while (next);
}

/** Yield the tasks of all pages. A page is requested when the ones before it have been consumed. */
export async function* listTasks(client: Client, parameters: ListParameters = {}): AsyncGenerator<Task, void> {
  for await (const { tasks } of listTaskPages(client, parameters)) {
    for (const task of tasks) {
      parameters.signal?.throwIfAborted();
      yield task;
    }
  }
}

/** Return the task with this id. */
export async function getTask(client: Client, id: string, options: CallOptions = {}): Promise<Task> {
  return (await operations.getMyTask({ client, path: { task_id: id }, signal: options.signal })).data;
}

/** Create a task, once: a repetition after a lost connection has the same `Idempotency-Key`. */
export async function createTask(client: Client, task: NewTask, options: KeyOptions = {}): Promise<Task> {
  return (await operations.createMyTask({ client, body: task, ...keyOf(options), signal: options.signal })).data;
}

/**
 * Change members of a task.
 *
 * @throws {TaskConflictError} if `task` is a task and has changed since; `current` is the task as it is now.
 */
export async function updateTask(
  client: Client,
  task: TaskOrId,
  changes: TaskChanges,
  options: CallOptions = {},
): Promise<Task> {
  const request = { client, path: { task_id: idOf(task) }, body: changes, ...versionOf(task), signal: options.signal };
  return changed(operations.updateMyTask(request), changes);
}

/** Complete or reopen a task: the opposite of what `task` shows. Of an id, without repetitions. */
export async function toggleTask(client: Client, task: TaskOrId, options: CallOptions = {}): Promise<Task> {
  const request = { client, path: { task_id: idOf(task) }, ...versionOf(task), signal: options.signal };
  return changed(operations.toggleMyTask(request), typeof task === "string" ? undefined : { completed: !task.completed });
}

/** Complete a task. It stays completed if it is already. */
export function completeTask(client: Client, task: TaskOrId, options: CallOptions = {}): Promise<Task> {
  return updateTask(client, task, { completed: true }, options);
}

/** The task after a change. A conflict with an earlier attempt of the same change, whose response was lost, is none. */
async function changed(result: Promise<{ data: Task }>, changes: TaskChanges | undefined): Promise<Task> {
  try {
    return (await result).data;
  } catch (error) {
    if (changes && error instanceof TasksApiError && error.code === "precondition-failed" && error.uncertain) {
      const { current } = error;
      const sent = Object.entries(changes).filter(([name]) => !READ_ONLY.includes(name as ReadOnly));
      if (sent.every(([name, value]) => value === undefined || current[name as keyof Task] === value)) return current;
    }
    throw error;
  }
}

/** Move a task to the trash, or delete it permanently, also from the trash. */
export async function deleteTask(
  client: Client,
  task: TaskOrId,
  options: CallOptions & { permanent?: boolean | undefined } = {},
): Promise<void> {
  const query = options.permanent ? { permanent: true } : {};
  try {
    await operations.deleteMyTask({ client, path: { task_id: idOf(task) }, query, ...versionOf(task), signal: options.signal });
  } catch (error) {
    // An earlier attempt, whose response was lost, has deleted it.
    if (!(error instanceof TasksApiError && error.code === "task-not-found" && error.uncertain)) throw error;
  }
}

/** Move a task from the trash back to the lists. */
export async function restoreTask(client: Client, task: TaskOrId, options: KeyOptions = {}): Promise<Task> {
  const path = { task_id: idOf(task) };
  return (await operations.restoreMyTask({ client, path, ...keyOf(options), signal: options.signal })).data;
}

/** Complete all tasks, or reopen them, and return the number of tasks that changed. */
export async function completeAllTasks(client: Client, completed = true, options: KeyOptions = {}): Promise<number> {
  const request = { client, body: { completed }, ...keyOf(options), signal: options.signal };
  return countOf(operations.completeAllMyTasks(request));
}

/** Delete all completed tasks, or empty the trash, and return the number of tasks. */
export async function clearTasks(
  client: Client,
  status: ClearMyTasksData["query"]["status"],
  options: KeyOptions & { permanent?: boolean | undefined } = {},
): Promise<number> {
  const query = options.permanent ? { status, permanent: true } : { status };
  return countOf(operations.clearMyTasks({ client, query, ...keyOf(options), signal: options.signal }));
}

async function countOf(result: Promise<{ data: BulkResult }>): Promise<number> {
  return (await result).data.count;
}

export interface ExportParameters extends CallOptions {
  status?: TaskStatus | undefined;
}

/**
 * Yield all tasks as the service sends them.
 *
 * @throws {ConnectionError} after the tasks that arrived, if the export is incomplete.
 */
export async function* exportTasks(client: Client, parameters: ExportParameters = {}): AsyncGenerator<Task, void> {
  const { signal, ...query } = parameters;
  const { response } = await operations.exportMyTasks({
    client,
    query: { ...query, format: "ndjson" },
    signal,
    as: "stream",
  });
  for await (const line of linesOf(response, signal)) yield taskIn(line);
}

function taskIn(line: string): Task {
  try {
    return JSON.parse(line);
  } catch (cause) {
    // A proxy ends an incomplete response as if it were complete.
    throw new ConnectionError(cause);
  }
}

/** Return an export as a file, to be saved. */
export async function exportTaskFile(
  client: Client,
  format: TaskFormat,
  parameters: ExportParameters = {},
): Promise<Blob> {
  const { signal, ...query } = parameters;
  const { data } = await operations.exportMyTasks({
    client,
    query: { ...query, format },
    signal,
    as: "blob",
  });
  return data as unknown as Blob;
}

/** Import tasks, all of them or none. They are sent in one request, which takes at most 50,000 and 10 MiB. */
export async function importTasks(
  client: Client,
  records: Iterable<ImportRecord> | AsyncIterable<ImportRecord>,
  options: KeyOptions = {},
): Promise<ImportResult> {
  const { signal } = options;
  const body = await abortable(collected(records, signal), signal);
  return (await operations.importMyTasks({ client, body, ...keyOf(options), signal })).data;
}

async function collected<Item>(items: Iterable<Item> | AsyncIterable<Item>, signal?: AbortSignal): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) {
    signal?.throwIfAborted();
    found.push(item);
  }
  return found;
}

/** Import a file in one of the formats of an export. */
export async function importTaskFile(
  client: Client,
  file: Blob,
  format: TaskFormat,
  options: KeyOptions = {},
): Promise<ImportResult> {
  return (
    await operations.importMyTasks({
      client,
      // The generator knows the first type of the body only.
      body: file as unknown as ImportRecord[],
      signal: options.signal,
      headers: { ...keyOf(options).headers, "Content-Type": MEDIA_TYPES[format] } as never,
    })
  ).data;
}

const MEDIA_TYPES: Record<TaskFormat, string> = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv",
};
