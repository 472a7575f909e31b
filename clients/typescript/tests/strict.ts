/** How an application with the strictest settings of the compiler uses the package. It is compiled, and not run. */

import {
  createTasksClient,
  listTasks,
  type RetryOptions,
  type Task,
  TaskConflictError,
  TasksApiError,
  type TasksClient,
} from "tasks-api-client";
import { getMyTask, type Options } from "tasks-api-client/operations";

export const client: TasksClient = createTasksClient({ baseUrl: "https://tasks.example.com", token: async () => "..." });

/** What a form has may be undefined. */
interface Form {
  title: string;
  description: string | null | undefined;
  attempts: number | undefined;
  signal: AbortSignal | undefined;
}

export async function save(task: Task | undefined, { title, description, attempts, signal }: Form): Promise<Task> {
  const retry: RetryOptions = { attempts };
  const { tasks } = createTasksClient({ baseUrl: "", token: undefined, retry });
  // @ts-expect-error A task needs a title.
  void (() => tasks.create({ description }));
  // @ts-expect-error The service sets the id.
  void (() => tasks.create({ title, id: "..." }));
  void (() => tasks.delete("...", { permanent: undefined, signal }));
  if (!task) return tasks.create({ title, description }, { signal, idempotencyKey: undefined });
  try {
    return await tasks.update(task, { title, description, completed: undefined }, { signal });
  } catch (error) {
    return explained(error);
  }
}

function explained(error: unknown): Task {
  if (!(error instanceof TasksApiError)) throw error;
  switch (error.code) {
    case "precondition-failed": {
      const conflict: TaskConflictError = error;
      return conflict.current;
    }
    case "validation-failed": {
      const [first] = error.errors;
      // @ts-expect-error There may be no first one.
      void first.detail;
      throw new Error(error.fields["title"]?.[0] ?? first?.detail);
    }
    case "too-many-requests":
    case "service-unavailable":
    case "request-in-progress": {
      const seconds: number | undefined = error.retryAfter;
      throw new Error(`Try again in ${seconds} seconds.`);
    }
    // @ts-expect-error No error has this code.
    case "no-such-code":
    default:
      // @ts-expect-error Only a conflict has the current task.
      return error.current;
  }
}

export async function* titles(cursor: string | undefined): AsyncGenerator<string, void> {
  for await (const task of listTasks(client, { cursor, status: undefined })) yield task.title;
}

export const one = async (path: Options["path"]): Promise<Task> =>
  (await getMyTask({ client, path: path as { task_id: string } })).data;
