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

  test("is no conflict of a change that sends the whole task, or nothing for a member", async () => {
    const { client, direct } = await failing("lost,pass,pass,lost");
    const task = await direct.tasks.create(milk);
    const renamed = await client.tasks.update(task, { ...task, title: "Buy oat milk" });
    expect(renamed.title).toBe("Buy oat milk");
    const completed = await client.tasks.update(renamed, { description: undefined, completed: true });
    expect(completed).toMatchObject({ title: "Buy oat milk", completed: true });
  });

  test.for([
    [{ description: "Two cartons" }, "no conflict"],
    [{ title: "Buy soy milk" }, "a conflict"],
  ] as const)("of a title is, if someone else then changes %j, %s", async ([theirs, outcome]) => {
    const { id, token } = await newUser();
    const direct = createTasksClient({ baseUrl: stage.service, token });
    let requests = 0;
    const losing: typeof fetch = async (...request) => {
      const response = await fetch(...request);
      if (++requests > 1) return response;
      await direct.tasks.update(task.id, theirs);
      throw new TypeError("The connection was lost.");
    };
    const client = createTasksClient({ baseUrl: stage.service, token, retry: FAST, fetch: losing });
    const task = await direct.tasks.create(milk);
    const changed = client.tasks.update(task, { title: "Buy oat milk" });
    const expected = { user_id: id, title: "Buy oat milk", ...theirs };
    if (outcome === "no conflict") expect(await changed).toMatchObject(expected);
    else expect(await failure(changed)).toMatchObject({ code: "precondition-failed", current: expected });
    expect(requests).toBe(3);
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

  test.for([
    ["busy", 1],
    ["busy-until", 60],
  ] as const)("do not begin where the wait would be too long (%s)", async ([plan, seconds]) => {
    const { client, requests } = await failing(plan, { ...FAST, maxDelay: 500 });
    const error = (await failure(client.profile.get())) as TasksApiError;
    expect(error.code).toBe("service-unavailable");
    expect(error.retryAfter).toBeGreaterThan(seconds - 5);
    expect(error.retryAfter).toBeLessThanOrEqual(seconds);
    expect(await requests()).toBe(1);
  });

  test("wait as long as they may, and no longer without Retry-After", async () => {
    const delays: number[] = [];
    const retry = { attempts: 9, delay: 8, maxDelay: 16, onRetry: (_: TasksApiError, delay: number) => delays.push(delay) };
    const { client, requests } = await failing(Array(8).fill("dropped").join(), retry);
    expect((await client.profile.get()).tasks.total).toBe(0);
    expect([await requests(), delays.filter((delay) => delay <= 16).length]).toEqual([9, 8]);
    const asked = await failing("busy", { ...retry, maxDelay: 1000 });
    await asked.client.profile.get();
    expect(await asked.requests()).toBe(2);
  });

  // That of React Server Components does, which Next.js puts in the place of the global one.
  test("and reads after a change get new responses from a fetch that repeats its own", async () => {
    const responses = new Map<string, Promise<Response>>();
    const repeating: typeof fetch = async (url, request) => {
      if (request?.signal || request?.method !== "GET") return fetch(url, request);
      const key = JSON.stringify([url, [...new Headers(request.headers)]]);
      if (!responses.has(key)) responses.set(key, fetch(url, request));
      return (await responses.get(key)!).clone();
    };
    const { token } = await newUser();
    const baseUrl = `${stage.proxy}/html/${crypto.randomUUID()}`;
    const { tasks } = createTasksClient({ baseUrl, token, retry: FAST, fetch: repeating });
    expect((await tasks.page()).tasks).toEqual([]);
    const task = await tasks.create(milk);
    expect((await tasks.page()).tasks).toEqual([task]);
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
