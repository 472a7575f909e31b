/** Faults between client and service, retries, tokens, and calls that are given up. */

import { ConnectionError, createTasksClient, OtherError, TaskConflictError, TasksApiError, type Task } from "tasks-api-client";
import { createMyTask, listTasks, patchMyTask, toggleMyTaskCompletion } from "tasks-api-client/operations";
import { describe, expect, test } from "vitest";

import { collect, failing, failure, FAST, newClient, newUser, stage } from "./stage.js";

const milk = { title: "Buy milk" };

describe("a response that is lost after the commit", () => {
  test.for(["lost", "dropped", "lost,lost,lost,lost", "lost,busy,dropped", "html"])("creates one task (%s)", async (plan) => {
    const { client, direct, requests } = await failing(plan);
    const task = await client.tasks.create(milk);
    expect(await collect(direct.tasks.list())).toEqual([task]);
    expect(await requests()).toBe(plan.split(",").length + 1);
  });

  test("creates one task with the generated function too", async () => {
    const { client, direct } = await failing("lost");
    const { data, response } = await createMyTask({ client, body: milk });
    expect(response.headers.get("Idempotent-Replayed")).toBe("true");
    expect(await collect(direct.tasks.list())).toEqual([data]);
  });

  test("imports once, completes once, clears once and restores once", async () => {
    const { client, direct } = await failing("lost");
    expect(await client.tasks.import([milk, milk])).toEqual({ imported: 2, unchanged: 0 });
    const other = await failing("lost,pass,lost,pass,lost");
    const task = await other.direct.tasks.create(milk);
    expect(await other.client.tasks.completeAll()).toBe(1);
    expect(await other.client.tasks.clearCompleted()).toBe(1);
    expect((await other.client.tasks.restore(task.id)).completed).toBe(true);
    expect(await other.requests()).toBe(6);
    expect(await collect(direct.tasks.list())).toHaveLength(2);
  });

  test("is no conflict of the change with itself", async () => {
    const { client, direct } = await failing("lost,pass,pass,lost,pass,pass,lost");
    const task = await direct.tasks.create(milk);
    const updated = await client.tasks.update(task, { title: "Buy oat milk", completed: false });
    expect(updated.title).toBe("Buy oat milk");
    const toggled = await client.tasks.toggle(updated);
    expect(await direct.tasks.get(task.id)).toEqual(toggled);
    expect(toggled.completed).toBe(true);
    expect(await client.tasks.delete(toggled)).toBeUndefined();
  });

  test("does not hide the change of someone else", async () => {
    const { client, direct } = await failing("dropped");
    const task = await direct.tasks.create(milk);
    const theirs = await direct.tasks.update(task, { title: "Buy oat milk" });
    const error = await failure(client.tasks.update(task, { title: "Buy soy milk" }));
    expect(error).toBeInstanceOf(TaskConflictError);
    expect((error as TaskConflictError).current).toEqual(theirs);
  });
});

describe("a toggle without If-Match", () => {
  test.for(["lost", "dropped", "busy", "html"])("is never repeated (%s)", async (plan) => {
    const { client, direct, requests } = await failing(plan);
    const task = await direct.tasks.create(milk);
    const error = (await failure(client.tasks.toggle(task.id))) as TasksApiError;
    expect(error).toBeInstanceOf(TasksApiError);
    expect(await requests()).toBe(1);
    expect((await direct.tasks.get(task.id)).completed).toBe(plan === "lost");
  });

  test("is never repeated at its other address, and a merge patch is", async () => {
    const { client, direct, requests } = await failing("lost,lost");
    const { id: task_id } = await direct.tasks.create(milk);
    const error = await failure(toggleMyTaskCompletion({ client, path: { task_id } }));
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as ConnectionError).uncertain).toBe(true);
    expect((await patchMyTask({ client, path: { task_id }, body: { completed: false } })).data.completed).toBe(false);
    expect(await requests()).toBe(3);
  });
});

describe("retries", () => {
  test("wait as long as Retry-After says, and a little longer", async () => {
    const delays: number[] = [];
    const onRetry = (_: TasksApiError, delay: number) => delays.push(delay);
    const { client } = await failing("busy", { ...FAST, onRetry });
    const start = performance.now();
    expect((await client.profile.get()).tasks.total).toBe(0);
    expect(performance.now() - start).toBeGreaterThanOrEqual(995);
    expect(delays).toHaveLength(1);
    expect(delays[0]).toBeGreaterThanOrEqual(1000);
    expect(delays[0]).toBeLessThanOrEqual(1250);
  });

  test("get through a rate limit", async () => {
    let refused = 0;
    const client = await newClient(stage.limited, { ...FAST, attempts: 20, onRetry: (error) => void (refused += +(error.status === 429)) });
    let created = 0;
    while (!refused) created += (await Promise.all(["a", "b", "c", "d"].map((title) => client.tasks.create({ title })))).length;
    expect(await collect(client.tasks.list())).toHaveLength(created);
  });

  test("end after the attempts, with the last error", async () => {
    const { client, requests } = await failing("dropped,dropped,html", { ...FAST, attempts: 3 });
    const error = await failure(client.tasks.create(milk));
    expect(error).toBeInstanceOf(OtherError);
    expect(await requests()).toBe(3);
  });

  test("do not begin where the wait would be too long", async () => {
    const { client, requests } = await failing("busy", { ...FAST, maxDelay: 500 });
    expect((await failure(client.profile.get()) as TasksApiError).code).toBe("service-unavailable");
    expect(await requests()).toBe(1);
  });

  test("are not for a request that is wrong", async () => {
    const { client, requests } = await failing("pass");
    expect((await failure(client.tasks.create({ title: "" })) as TasksApiError).code).toBe("validation-failed");
    expect(await requests()).toBe(1);
  });
});

describe("an export that ends early", () => {
  test("is an error after the tasks that arrived", async () => {
    const { client, direct } = await failing("cut");
    await direct.tasks.import(Array.from({ length: 500 }, () => milk));
    const arrived: Task[] = [];
    const error = await failure((async () => {
      for await (const task of client.tasks.export()) arrived.push(task);
    })());
    expect(error).toBeInstanceOf(ConnectionError);
    expect(arrived.length).toBeLessThan(500);
  });

  test("is an error of a file", async () => {
    const { client, direct } = await failing("cut", { attempts: 1 });
    await direct.tasks.import(Array.from({ length: 500 }, () => milk));
    expect(await failure(client.tasks.exportFile("csv"))).toBeInstanceOf(ConnectionError);
  });

  test("because its reader stops closes the connection", async () => {
    let closed = false;
    const watching: typeof fetch = async (...request) => {
      const response = await fetch(...request);
      const reader = response.body!.getReader();
      const body = new ReadableStream<Uint8Array>({
        pull: async (stream) => stream.enqueue((await reader.read()).value!),
        cancel: (reason) => {
          closed = true;
          return reader.cancel(reason);
        },
      });
      return new Response(body, response);
    };
    const { id, token } = await newUser();
    const client = createTasksClient({ baseUrl: stage.service, token });
    await client.tasks.import([milk, milk]);
    const { tasks } = createTasksClient({ baseUrl: stage.service, token, fetch: watching });
    for await (const task of tasks.export()) {
      expect(task.user_id).toBe(id);
      break;
    }
    expect(closed).toBe(true);
  });

  test("is read again if it is a list", async () => {
    const { client, direct } = await failing("cut");
    await direct.tasks.import(Array.from({ length: 500 }, () => milk));
    expect(await collect(client.tasks.list())).toHaveLength(500);
  });
});

describe("the token", () => {
  test("is asked for once, and once again when it has expired", async () => {
    const user = await newUser();
    const tokens = [(await newUser(-60, user.id)).token, user.token];
    let asked = 0;
    const token = async () => tokens[Math.min(asked++, 1)]!;
    const client = createTasksClient({ baseUrl: stage.service, token });
    const answers = await Promise.all([client.profile.get(), client.profile.get(), client.tasks.create(milk)]);
    expect(answers.map((answer) => "user_id" in answer ? answer.user_id : answer.id)).toEqual(Array(3).fill(user.id));
    await client.profile.get();
    expect(asked).toBe(2);
    expect((await listTasks({ client, path: { user_id: user.id } })).data).toHaveLength(1);
  });

  test("is asked for again no more than once in a call", async () => {
    const { token } = await newUser(-60);
    let asked = 0;
    const client = createTasksClient({ baseUrl: stage.service, token: () => (asked++, token) });
    expect((await failure(client.profile.get()) as TasksApiError).code).toBe("token-expired");
    expect(asked).toBe(2);
    expect((await failure(client.profile.get()) as TasksApiError).code).toBe("token-expired");
    expect(asked).toBe(4);
  });

  test("that could not be got fails the call, and is asked for again by the next", async () => {
    const { token } = await newUser();
    const answers = [() => Promise.reject(new Error("Sign in first.")), () => "no-token", () => token];
    let asked = 0;
    const client = createTasksClient({ baseUrl: stage.service, token: () => answers[asked++]!() });
    expect(await failure(client.profile.get())).toEqual(new Error("Sign in first."));
    expect((await failure(client.profile.get()) as TasksApiError).code).toBe("unauthenticated");
    expect((await client.profile.get()).tasks.total).toBe(0);
    expect(asked).toBe(3);
  });
});

describe("an abort", () => {
  const reason = new Error("The user has left the page.");

  test("ends the request", async () => {
    const { client, requests } = await failing("held", { attempts: 1 });
    const controller = new AbortController();
    const call = failure(client.tasks.create(milk, { signal: controller.signal }));
    await expect.poll(requests, { timeout: 10_000 }).toBe(1);
    controller.abort(reason);
    expect(await call).toBe(reason);
    expect(await requests()).toBe(1);
  });

  test("ends the wait before a repetition", async () => {
    const controller = new AbortController();
    // The wait would be longer than the test may take.
    const days = { attempts: 2, delay: 1e9, maxDelay: 1e9, onRetry: () => controller.abort(reason) };
    const { client, requests } = await failing("dropped", days);
    expect(await failure(client.profile.get({ signal: controller.signal }))).toBe(reason);
    expect(await requests()).toBe(1);
  });

  test("ends the wait for a token", async () => {
    const controller = new AbortController();
    const client = createTasksClient({ baseUrl: stage.service, token: () => new Promise<string>(() => {}) });
    const call = failure(client.profile.get({ signal: controller.signal }));
    controller.abort(reason);
    expect(await call).toBe(reason);
  });

  test("ends a list, an export and the reading of an import between two tasks", async () => {
    const client = await newClient();
    await client.tasks.import(Array.from({ length: 5 }, () => milk));
    for (const tasks of [
      (signal: AbortSignal) => client.tasks.list({ limit: 1, signal }),
      (signal: AbortSignal) => client.tasks.export({ signal }),
    ]) {
      const aborted = new AbortController();
      aborted.abort(reason);
      expect(await failure(collect(tasks(aborted.signal)))).toBe(reason);
    }
    async function* endless() {
      for (;;) yield milk;
    }
    expect(await failure(client.tasks.import(endless(), { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const seen: Task[] = [];
    const error = await failure((async () => {
      for await (const task of client.tasks.list({ limit: 1, signal: controller.signal })) {
        seen.push(task);
        controller.abort(reason);
      }
    })());
    expect([error, seen.length]).toEqual([reason, 1]);
  });
});
