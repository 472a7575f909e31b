/** Responses that do not come from the service, or not as it sent them. */

import { ConnectionError, OtherError, TasksApiError, type TasksClient } from "tasks-api-client";
import { describe, expect, test } from "vitest";

import { collect, failing, failure, FAST, newClient } from "./stage.js";

const milk = { title: "Buy milk" };

const CALLS: Record<string, (client: TasksClient) => Promise<unknown>> = {
  create: ({ tasks }) => tasks.create(milk),
  list: ({ tasks }) => collect(tasks.list()),
  export: ({ tasks }) => collect(tasks.export()),
  exportFile: ({ tasks }) => tasks.exportFile("csv"),
  delete: ({ tasks }) => tasks.delete("01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"),
};

describe.for(Object.entries(CALLS))("%s", ([, call]) => {
  test.for([
    ["portal", 200, "text/html"],
    ["nothing", 200, "no type"],
    ["gateway", 403, "application/problem+json"],
    ["null", 500, "application/problem+json"],
    ["half", 500, "application/problem+json"],
  ] as const)("fails once with a response that is not the service's (%s)", async ([plan, status, type]) => {
    const { client, requests } = await failing(plan);
    const error = await failure(call(client));
    expect(error).toBeInstanceOf(OtherError);
    const detail = `The response is not the service's: status ${status}, ${type}.`;
    expect(error).toMatchObject({ code: "unexpected-response", status, title: "Unexpected response", detail });
    expect(await requests()).toBe(1);
  });
});

test("a redirection is an error, and is neither followed nor repeated", async () => {
  const { client, direct, requests } = await failing("moved");
  const error = await failure(client.tasks.create(milk));
  const [status, found] = "document" in globalThis ? [0, "a redirection"] : [301, "status 301"];
  expect(error).toMatchObject({ code: "unexpected-response", status, uncertain: false, detail: expect.stringContaining(found) });
  expect([await requests(), (await direct.tasks.page()).tasks]).toEqual([1, []]);
});

test("a code that the client does not know is that of another error", async () => {
  const { client } = await failing("newer");
  const error = await failure(client.tasks.create(milk));
  expect(error).toBeInstanceOf(OtherError);
  expect(error).toMatchObject({ code: "constructor", status: 410, title: "New" });
});

test("an export that is shortened, and looks complete, is an error", async () => {
  const { client, direct } = await failing("short");
  await direct.tasks.import(Array.from({ length: 99 }, () => milk));
  expect(await failure(collect(client.tasks.export()))).toBeInstanceOf(ConnectionError);
});

test("a page that is shortened, and looks complete, is read again", async () => {
  const { client, requests } = await failing("short", FAST);
  expect(await collect(client.tasks.list())).toEqual([]);
  expect(await requests()).toBe(2);
});

test("members whose names objects have are fields too", async () => {
  const client = await newClient();
  const records = JSON.parse('[{"title": "a", "constructor": 1, "__proto__": 2}]');
  const error = (await failure(client.tasks.create(records[0]))) as TasksApiError;
  expect(Object.entries(error.fields)).toEqual([
    ["constructor", ["is not a known member"]],
    ["__proto__", ["is not a known member"]],
  ]);
});
