/** Calls that are given up: while they wait, while they read, and between two tasks. */

import { createTasksClient, type Task, type TasksClient } from "tasks-api-client";
import { describe, expect, test } from "vitest";

import { collect, failing, failure, newClient, newUser, stage } from "./stage.js";

const milk = { title: "Buy milk" };

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

  test("is noticed before the token is asked for", async () => {
    let asked = 0;
    const client = createTasksClient({ baseUrl: stage.service, token: () => `${asked++}` });
    expect(await failure(client.profile.get({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(asked).toBe(0);
  });

  // That of Node.js sometimes waits for the rest of a compressed body, although its request has been aborted.
  test.for([
    ["a page", ({ tasks }, signal) => tasks.page({ signal })],
    ["a problem", ({ tasks }, signal) => tasks.get("no-id", { signal })],
    ["a file", ({ tasks }, signal) => tasks.exportFile("csv", { signal })],
    ["an export", ({ tasks }, signal) => collect(tasks.export({ signal }))],
  ] as [string, (client: TasksClient, signal: AbortSignal) => Promise<unknown>][])(
    "ends the reading of %s, also if its body does not end",
    async ([, read]) => {
      const controller = new AbortController();
      const stuck: typeof fetch = async (...request) => {
        const response = await fetch(...request);
        const content = new Uint8Array(await response.arrayBuffer());
        const body = new ReadableStream<Uint8Array>({
          start: (stream) => stream.enqueue(content.slice(0, -1)),
          pull: () => controller.abort(reason),
          cancel: () => new Promise(() => {}),
        });
        return new Response(body, response);
      };
      const { token } = await newUser();
      await createTasksClient({ baseUrl: stage.service, token }).tasks.create(milk);
      const client = createTasksClient({ baseUrl: stage.service, token, fetch: stuck });
      expect(await failure(read(client, controller.signal))).toBe(reason);
    },
  );

  test("ends the wait for a token", async () => {
    const controller = new AbortController();
    const client = createTasksClient({ baseUrl: stage.service, token: () => new Promise<string>(() => {}) });
    const call = failure(client.profile.get({ signal: controller.signal }));
    controller.abort(reason);
    expect(await call).toBe(reason);
  });

  test.for([3, 400])("ends a list and an export before their next task (of %i)", async (number) => {
    const client = await newClient();
    await client.tasks.import(Array.from({ length: number }, () => milk));
    for (const tasks of [
      (signal: AbortSignal) => client.tasks.list({ signal }),
      (signal: AbortSignal) => client.tasks.list({ limit: 1, signal }),
      (signal: AbortSignal) => client.tasks.export({ signal }),
    ]) {
      expect(await failure(collect(tasks(AbortSignal.abort(reason))))).toBe(reason);
      const controller = new AbortController();
      const seen: Task[] = [];
      const error = await failure((async () => {
        for await (const task of tasks(controller.signal)) {
          seen.push(task);
          controller.abort(reason);
        }
      })());
      expect([error, seen.length]).toEqual([reason, 1]);
    }
  });

  test("ends the reading of an import", async () => {
    const { tasks } = await newClient();
    async function* endless() {
      for (;;) yield milk;
    }
    expect(await failure(tasks.import(endless(), { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    async function* waiting() {
      yield milk;
      controller.abort(reason);
      await new Promise(() => {});
    }
    expect(await failure(tasks.import(waiting(), { signal: controller.signal }))).toBe(reason);
    expect((await tasks.page()).tasks).toEqual([]);
  });
});
