/** A session whose requests and answers are checked with the Zod schemas of orval, which has no client for them. */

import {
  CreateMyTaskBody,
  CreateMyTaskResponse,
  ExportMyTasksResponse,
  ImportMyTasksBody,
  ImportMyTasksResponse,
  ListMyTasksResponse,
  RestoreMyTaskResponse,
  ToggleMyTaskResponse,
  UpdateMyTaskBody,
  UpdateMyTaskResponse,
} from "tasks";
import type { ZodType } from "zod";

import { baseUrl, entityTag, equal, nextCursor, present, signedIn } from "../support";

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const fields = signedIn({ "Content-Type": "application/json", ...headers });
  return fetch(baseUrl + path, { method, ...fields, body: JSON.stringify(body) });
}

async function read<T>(schema: ZodType<T>, answer: Promise<Response>): Promise<T> {
  return schema.parse(await (await answer).json());
}

const create = (body: unknown) => call("POST", "/api/tasks", CreateMyTaskBody.parse(body));
const milk = await read(CreateMyTaskResponse, create({ title: "Buy milk" }));
equal([milk.title, milk.description, milk.completed], ["Buy milk", null, false]);
await create({ title: "Call the dentist", description: "At nine" });
await create({ title: "Water the plants" });
equal(CreateMyTaskBody.safeParse({ title: " " }).success, false);

const page = await call("GET", "/api/tasks?limit=2&sort=title");
const cursor = present(nextCursor(page.headers), "second page");
const first = ListMyTasksResponse.parse(await page.json());
equal(first.map((task) => task.title), ["Buy milk", "Call the dentist"]);
const second = await read(ListMyTasksResponse, call("GET", `/api/tasks?limit=2&sort=title&cursor=${cursor}`));
equal(second.map((task) => task.title), ["Water the plants"]);

const path = `/api/tasks/${milk.id}`;
const version = { "If-Match": entityTag((await call("GET", path)).headers) };
const change = UpdateMyTaskBody.parse({ title: "Buy oat milk" });
equal((await read(UpdateMyTaskResponse, call("PUT", path, change, version))).title, "Buy oat milk");
equal((await call("PUT", path, change, version)).status, 412);
equal((await read(ToggleMyTaskResponse, call("PATCH", `${path}/toggle`))).completed, true);
equal((await call("DELETE", path)).status, 204);
equal((await read(RestoreMyTaskResponse, call("POST", `${path}/restore`))).title, "Buy oat milk");

const records = await read(ExportMyTasksResponse, call("GET", "/api/tasks/export?format=json"));
const imported = call("POST", "/api/tasks/import", ImportMyTasksBody.parse(records));
equal(await read(ImportMyTasksResponse, imported), { imported: 0, unchanged: 3 });
