/** Every code of the document, as the service sends it. */

import { createTasksClient, OtherError, TasksApiError, TryLaterError, UnauthenticatedError } from "tasks-api-client";
import * as operations from "tasks-api-client/operations";
import { describe, expect, test } from "vitest";

import { failing, failure, newClient, newUser, stage } from "./stage.js";

const ONCE = { attempts: 1 };
const LONG = "a".repeat(9000);
const milk = { title: "Buy milk" };

/** A call that fails with each of the codes. A missing one is an error of the compiler. */
const FAILURES: Record<TasksApiError["code"], () => Promise<unknown>> = {
  "connection-lost": async () => (await failing("dropped", ONCE)).client.profile.get(),
  "content-too-large": async () => (await newClient()).tasks.create({ ...milk, description: "a".repeat(300_000) }),
  forbidden: async () => operations.getUser({ client: await newClient(), path: { user_id: "someone-else" } }),
  "header-fields-too-large": async () => (await newClient()).tasks.create(milk, { idempotencyKey: LONG }),
  "internal-error": async () => (await newClient()).tasks.create({ title: "a defect" }),
  "malformed-request": async () => operations.createMyTask({ client: await newClient(), body: "{" as never }),
  "method-not-allowed": async () => (await newClient()).put({ url: "/api/tasks", body: {}, security: ["bearer"] }),
  "not-acceptable": async () => operations.getMe({ client: await newClient(), headers: { Accept: "image/png" } as never }),
  // Without a token there is no preflight, whose 404 a browser would not show.
  "not-found": async () => (await newClient()).get({ url: "/elsewhere" }),
  "precondition-failed": async () => {
    const { tasks } = await newClient();
    const task = await tasks.create(milk);
    await tasks.toggle(task);
    return tasks.update(task, milk);
  },
  "request-in-progress": async () => {
    // The transaction of another request with this key does not end.
    const { token } = await newUser(600, "busy");
    return createTasksClient({ baseUrl: stage.service, token, retry: ONCE }).tasks.create(milk, { idempotencyKey: "busy" });
  },
  "request-timeout": async () => (await failing("stalled", ONCE)).client.tasks.create(milk),
  "service-unavailable": async () => (await newClient(stage.unavailable, ONCE)).tasks.create(milk),
  "task-not-found": async () => (await newClient()).tasks.get("01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"),
  "token-expired": async () => createTasksClient({ baseUrl: stage.service, token: (await newUser(-60)).token }).profile.get(),
  "too-many-requests": async () => {
    const { profile } = await newClient(stage.limited, ONCE);
    for (;;) await profile.get();
  },
  unauthenticated: async () => createTasksClient({ baseUrl: stage.service, token: "no-token" }).profile.get(),
  "unexpected-response": async () => (await failing("html", ONCE)).client.profile.get(),
  "unsupported-media-type": async () =>
    operations.createMyTask({ client: await newClient(), body: milk, headers: { "Content-Type": "text/plain" } as never }),
  "uri-too-long": async () => (await newClient()).get({ url: "/health", query: { long: LONG } }),
  "validation-failed": async () => (await newClient()).tasks.create({ title: " " }),
};

describe("codes", () => {
  test.for(Object.entries(FAILURES))("%s", async ([code, call]) => {
    const error = await failure(call());
    expect(error).toBeInstanceOf(TasksApiError);
    if (!(error instanceof TasksApiError)) return;
    expect(error.code).toBe(code);
    expect(error).toMatchObject({ message: error.detail, title: expect.any(String), name: "TasksApiError" });
    expect("cause" in error).toBe(error.code === "connection-lost");
    if (error.status && error.code !== "unexpected-response") expect(error.requestId).toMatch(/^[\w.-]+$/);
  });
});

test("a code narrows the error to its class", async () => {
  const error = await failure(FAILURES["precondition-failed"]());
  if (!(error instanceof TasksApiError)) throw error;
  switch (error.code) {
    case "precondition-failed":
      // The compiler knows `current` here only.
      expect(error.current.completed).toBe(true);
      break;
    case "validation-failed":
      throw new Error(error.errors.map((violation) => violation.detail).join());
    default:
      // @ts-expect-error Other errors have no current task.
      throw error.current;
  }
});

test("errors are carried by field", async () => {
  const client = await newClient();
  const error = (await failure(client.tasks.create({ title: "", completed: "no", due: 1 } as never))) as TasksApiError;
  expect(error.fields).toEqual({
    title: ["must be at least 1 character long"],
    completed: ["must be a boolean"],
    due: ["is not a known member"],
  });
  const listed = (await failure(client.tasks.page({ limit: 1001 }))) as TasksApiError;
  expect(listed.fields).toEqual({ limit: ["must be at most 1000"] });
  const imported = (await failure(client.tasks.import([milk, { title: "" }]))) as TasksApiError;
  expect(imported.fields).toEqual({ "1/title": ["must be at least 1 character long"] });
  const file = new Blob(['{"title":"a"}\n{}\n']);
  const lines = (await failure(client.tasks.importFile(file, "ndjson"))) as TasksApiError;
  expect(lines.fields).toEqual({ 2: ["/title is required"] });
});

test("classes tell errors apart, and say when to try again", async () => {
  expect(await failure(FAILURES["token-expired"]())).toBeInstanceOf(UnauthenticatedError);
  expect(await failure(FAILURES.forbidden())).toBeInstanceOf(OtherError);
  const limited = await failure(FAILURES["too-many-requests"]());
  expect(limited).toBeInstanceOf(TryLaterError);
  expect((limited as TryLaterError).retryAfter).toBeGreaterThanOrEqual(1);
});
