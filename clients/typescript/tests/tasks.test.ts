/** Every operation of the client for the token's user. */

import { createClient, createTasksClient, createTask, entityTag, listTasks, TaskConflictError } from "tasks-api-client";
import { expect, test } from "vitest";

import { collect, FAST, failure, newClient, newUser, stage } from "./stage.js";

test("a task is created, read, updated, completed, toggled, deleted and restored", async () => {
  const { tasks } = await newClient();
  const milk = await tasks.create({ title: "Buy milk" });
  expect(milk).toMatchObject({ title: "Buy milk", description: null, completed: false });
  expect(await tasks.get(milk.id)).toEqual(milk);
  const oats = await tasks.update(milk, { title: "Buy oat milk", description: "Two cartons" });
  expect(oats).toMatchObject({ id: milk.id, title: "Buy oat milk", description: "Two cartons" });
  const completed = await tasks.complete(oats);
  expect(completed.completed).toBe(true);
  expect(await tasks.complete(completed)).toEqual(completed);
  const toggled = await tasks.toggle(completed);
  expect(toggled.completed).toBe(false);
  expect((await tasks.toggle(toggled.id)).completed).toBe(true);
  expect(await tasks.delete(milk.id)).toBeUndefined();
  expect(await collect(tasks.list())).toEqual([]);
  const [trashed] = await collect(tasks.list({ status: "trashed" }));
  expect((await tasks.restore(trashed!)).title).toBe("Buy oat milk");
  await tasks.delete(await tasks.get(milk.id), { permanent: true });
  expect(await collect(tasks.list({ status: "trashed" }))).toEqual([]);
});

test("a list follows the pages, and reads no page that nobody asks for", async () => {
  let requests = 0;
  const counting: typeof fetch = (...request) => {
    requests++;
    return fetch(...request);
  };
  const client = createTasksClient({ baseUrl: `${stage.service}/`, token: (await newUser()).token, fetch: counting });
  const titles = ["a", "b", "c", "d", "e"];
  await client.tasks.import(titles.map((title) => ({ title })));
  const query = { limit: 2, sort: "-title" } as const;
  requests = 0;
  expect((await collect(client.tasks.list(query))).map((task) => task.title)).toEqual([...titles].reverse());
  expect(requests).toBe(3);
  for await (const task of client.tasks.list(query)) if (task.title === "d") break;
  expect(requests).toBe(4);
  expect((await collect(client.tasks.pages(query))).map((page) => page.tasks.length)).toEqual([2, 2, 1]);
  const first = await client.tasks.page(query);
  const second = await client.tasks.page({ ...query, cursor: first.next! });
  expect(second.tasks.map((task) => task.title)).toEqual(["c", "b"]);
  expect((await client.tasks.page({ ...query, cursor: second.next! })).next).toBeUndefined();
});

test("tasks are completed, cleared and counted together", async () => {
  const client = await newClient();
  await client.tasks.import([{ title: "a" }, { title: "b", completed: true }, { title: "c" }]);
  expect((await client.profile.get()).tasks).toEqual({ total: 3, completed: 1, pending: 2 });
  expect(await client.tasks.clearCompleted()).toBe(1);
  expect(await client.tasks.completeAll()).toBe(2);
  expect(await client.tasks.completeAll(false)).toBe(2);
  expect(await client.tasks.completeAll(true)).toBe(2);
  expect(await client.tasks.clear("completed", { permanent: true })).toBe(2);
  expect(await client.tasks.emptyTrash()).toBe(1);
  expect(await client.profile.delete()).toBeUndefined();
  expect((await client.profile.get()).tasks.total).toBe(0);
});

test("an export yields tasks, and an import takes them from any iterable", async () => {
  const { tasks } = await newClient();
  const titles = Array.from({ length: 300 }, (_, number) => `Ä ${number}\u2028 "\n`);
  async function* records() {
    for (const title of titles) yield { title };
  }
  expect(await tasks.import(records())).toEqual({ imported: 300, unchanged: 0 });
  const exported = await collect(tasks.export());
  expect(exported.map((task) => task.title)).toEqual(titles);
  expect(await tasks.import(new Set(exported))).toEqual({ imported: 0, unchanged: 300 });
  expect(await collect(tasks.export({ status: "completed" }))).toEqual([]);
  for await (const task of tasks.export()) {
    expect(task).toEqual(exported[0]);
    break;
  }
});

test("an import of an iterable that fails sends nothing", async () => {
  const { tasks } = await newClient();
  const broken = new Error("The disk is gone.");
  function* now() {
    yield { title: "a" };
    throw broken;
  }
  async function* later() {
    yield* now();
  }
  expect(await failure(tasks.import(now()))).toBe(broken);
  expect(await failure(tasks.import(later()))).toBe(broken);
  expect((await tasks.page()).tasks).toEqual([]);
});

test("an export may arrive byte by byte", async () => {
  const { token } = await newUser();
  const bytes = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, stream) => chunk.forEach((_, at) => stream.enqueue(chunk.slice(at, at + 1))),
  });
  const slow: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    return new Response(response.body!.pipeThrough(bytes), response);
  };
  const titles = ["Ä", "\u2028\r\n 🥛", "\ufeff\u2029 milk"];
  await createTasksClient({ baseUrl: stage.service, token }).tasks.import(titles.map((title) => ({ title })));
  const { tasks } = createTasksClient({ baseUrl: stage.service, token, fetch: slow });
  expect((await collect(tasks.export())).map((task) => task.title)).toEqual(titles);
});

test.for(["json", "ndjson", "csv"] as const)("an export is saved as %s, and imported by another user", async (format) => {
  const from = await newClient();
  const task = await from.tasks.create({ title: "Buy milk", description: "Two, \"fresh\"" });
  const file = await from.tasks.exportFile(format);
  expect(await file.text()).toContain(task.id);
  const to = await newClient();
  expect(await to.tasks.importFile(file, format)).toEqual({ imported: 1, unchanged: 0 });
  expect(await collect(to.tasks.list())).toMatchObject([{ title: task.title, description: task.description }]);
});

test("of two editors with the same task, one gets the conflict and the current task", async () => {
  const { tasks } = await newClient();
  await tasks.create({ title: "Buy milk" });
  // The version survives a copy, because it is a member of the task.
  const [listed] = structuredClone(await collect(tasks.list()));
  const changed = await tasks.update(listed!, { title: "Buy oat milk" });
  for (const attempt of [
    () => tasks.update(listed!, { completed: true }),
    () => tasks.complete(listed!),
    () => tasks.toggle(listed!),
    () => tasks.delete(listed!),
  ]) {
    const error = await failure(attempt());
    expect(error).toBeInstanceOf(TaskConflictError);
    expect((error as TaskConflictError).current).toEqual(changed);
  }
  expect(await tasks.get(listed!.id)).toEqual(changed);
  expect((await tasks.update(listed!.id, { completed: true })).completed).toBe(true);
});

test("the version of a task is the ETag of its response", async () => {
  const client = await newClient();
  const task = await client.tasks.create({ title: "Buy milk" });
  const { response } = await client.get<{ 200: unknown }>({ url: `/api/tasks/${task.id}`, security: ["bearer"] });
  expect(entityTag(task)).toBe(response.headers.get("ETag"));
  expect(entityTag({ updated_at: "2026-11-20T09:15:00Z" })).toBe(`"${(1795166100000000).toString(16)}"`);
  expect(entityTag({ updated_at: "2026-11-20T09:15:00.5Z" })).toBe(`"${(1795166100500000).toString(16)}"`);
});

test("a task has its version at whatever time it was changed", async () => {
  const { tasks } = await newClient();
  const seconds = ["1970-01-01T00:00:00", "1999-12-31T23:59:59", "2026-02-28T12:00:00"];
  const fractions = ["", ".5", ".05", ".000001", ".999999", ".12345", ".100000"];
  const times = seconds.flatMap((time) => fractions.map((fraction) => `${time}${fraction}Z`));
  await tasks.import(times.map((time) => ({ title: time, created_at: time, updated_at: time })));
  const changed = (await collect(tasks.export())).map((task) => tasks.update(task, { completed: true }));
  expect((await Promise.all(changed)).map((task) => task.title).sort()).toEqual(times.sort());
});

test("the functions work with a client that has nothing else", async () => {
  const client = createClient({ baseUrl: stage.service, token: (await newUser()).token, retry: FAST });
  const task = await createTask(client, { title: "Buy milk" }, { idempotencyKey: "my-key" });
  expect(await createTask(client, { title: "Buy milk" }, { idempotencyKey: "my-key" })).toEqual(task);
  expect(await collect(listTasks(client))).toEqual([task]);
});

test("the token is verified, and the health of the service needs none", async () => {
  const user = await newUser();
  const client = createTasksClient({ baseUrl: stage.service, token: user.token });
  expect(await client.verifyToken()).toMatchObject({ user_id: user.id, email: null });
  const anonymous = createTasksClient({
    baseUrl: stage.service,
    token: () => {
      throw new Error("A public operation asked for the token.");
    },
  });
  expect([await anonymous.health(), await anonymous.ready()]).toEqual([{ status: "ok" }, { status: "ready" }]);
});
