/** A session with openapi-fetch and the types of openapi-typescript. */

import createClient from "openapi-fetch";
import type { paths } from "tasks/schema";

import { baseUrl, entityTag, equal, fail, lines, nextCursor, present, token, userId } from "../support";

const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

const created = await client.POST("/api/tasks", {
  body: { title: "Buy milk" },
  params: { header: { "Idempotency-Key": "first" } },
});
const milk = present(created.data, "task");
equal([milk.title, milk.description, milk.completed], ["Buy milk", null, false]);
await client.POST("/api/tasks", { body: { title: "Call the dentist", description: "At nine" } });
await client.POST("/api/{user_id}/tasks", {
  params: { path: { user_id: userId } },
  body: { title: "Water the plants" },
});

const query = { limit: 2, sort: "title" } as const;
const first = await client.GET("/api/tasks", { params: { query } });
equal(first.data?.map((task) => task.title), ["Buy milk", "Call the dentist"]);
const cursor = nextCursor(first.response.headers);
const second = await client.GET("/api/tasks", { params: { query: { ...query, cursor } } });
equal(second.data?.map((task) => task.title), ["Water the plants"]);
equal(nextCursor(second.response.headers), undefined);

const path = { task_id: milk.id };
const read = await client.GET("/api/tasks/{task_id}", { params: { path } });
const header = { "If-Match": entityTag(read.response.headers) };
const updated = await client.PUT("/api/tasks/{task_id}", { params: { path, header }, body: { title: "Buy oat milk" } });
equal(updated.data?.title, "Buy oat milk");
const stale = await client.PUT("/api/tasks/{task_id}", { params: { path, header }, body: { title: "Buy soy milk" } });
equal([stale.response.status, stale.error?.code], [412, "precondition-failed"]);

equal((await client.PATCH("/api/tasks/{task_id}/toggle", { params: { path } })).data?.completed, true);
const patched = await client.PATCH("/api/tasks/{task_id}", { params: { path }, body: { completed: false } });
equal(patched.data?.completed, false);
equal((await client.DELETE("/api/tasks/{task_id}", { params: { path } })).response.status, 204);
equal((await client.GET("/api/tasks/{task_id}", { params: { path } })).error?.code, "task-not-found");
equal((await client.POST("/api/tasks/{task_id}/restore", { params: { path } })).data?.title, "Buy oat milk");

const exported = await client.GET("/api/tasks/export", { params: { query: { format: "json" } } });
const records = exported.data;
if (!Array.isArray(records)) fail("the export is no array");
equal(records.length, 3);
equal((await client.POST("/api/tasks/import", { body: records })).data, { imported: 0, unchanged: 3 });
const file = await client.GET("/api/tasks/export", { params: { query: { format: "ndjson" } }, parseAs: "text" });
equal(lines(present(file.data, "file")).length, 3);
const imported = await client.POST("/api/tasks/import", {
  body: '{"title":"Read a book"}\n',
  bodySerializer: (text) => text,
  headers: { "Content-Type": "application/x-ndjson" },
});
equal(imported.data, { imported: 1, unchanged: 0 });

const unknown = await client.GET("/api/tasks", { headers: { Authorization: "Bearer no-token" } });
equal([unknown.response.status, unknown.error?.code], [401, "unauthenticated"]);
const refused = await client.PUT("/api/tasks/{task_id}", { params: { path }, body: { title: "" } });
equal(refused.response.status, 422);
if (refused.error?.code === "validation-failed") {
  const [violation] = refused.error.errors;
  equal(violation && "pointer" in violation ? violation.pointer : violation, "/title");
} else fail(`not a 422: ${refused.error?.code}`);
