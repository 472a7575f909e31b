/** A session with a client of hey-api. The clients with validators run it too: they check every body as well. */

import {
  createMyTask,
  createTask,
  deleteMyTask,
  exportMyTasks,
  getMyTask,
  importMyTasks,
  type ImportMyTasksResponses,
  listMyTasks,
  patchMyTask,
  restoreMyTask,
  toggleMyTask,
  updateMyTask,
} from "tasks";
import { client } from "tasks/client.gen";

import { baseUrl, entityTag, equal, fail, lines, nextCursor, present, token, userId } from "../support";

client.setConfig({ baseUrl, auth: () => token });

const created = await createMyTask({ body: { title: "Buy milk" }, headers: { "Idempotency-Key": "first" } });
const milk = present(created.data, "task");
equal([milk.title, milk.description, milk.completed], ["Buy milk", null, false]);
await createMyTask({ body: { title: "Call the dentist", description: "At nine" }, throwOnError: true });
await createTask({ path: { user_id: userId }, body: { title: "Water the plants" }, throwOnError: true });

const first = await listMyTasks({ query: { limit: 2, sort: "title" } });
equal(first.data?.map((task) => task.title), ["Buy milk", "Call the dentist"]);
const second = await listMyTasks({ query: { limit: 2, sort: "title", cursor: nextCursor(first.response?.headers) } });
equal(second.data?.map((task) => task.title), ["Water the plants"]);
equal(nextCursor(second.response?.headers), undefined);

const path = { task_id: milk.id };
const read = await getMyTask({ path });
const version = { "If-Match": entityTag(read.response?.headers) };
const updated = await updateMyTask({ path, body: { title: "Buy oat milk" }, headers: version });
equal(updated.data?.title, "Buy oat milk");
const stale = await updateMyTask({ path, body: { title: "Buy soy milk" }, headers: version });
equal(stale.response?.status, 412);
equal(stale.error?.code, "precondition-failed");

equal((await toggleMyTask({ path })).data?.completed, true);
equal((await patchMyTask({ path, body: { completed: false } })).data?.completed, false);
equal((await deleteMyTask({ path })).response?.status, 204);
equal((await getMyTask({ path })).error?.code, "task-not-found");
equal((await restoreMyTask({ path })).data?.title, "Buy oat milk");

const records = (await exportMyTasks({ query: { format: "json" } })).data;
if (!Array.isArray(records)) fail("the export is no array");
equal(records.length, 3);
equal((await importMyTasks({ body: records })).data, { imported: 0, unchanged: 3 });
const file = (await exportMyTasks({ query: { format: "ndjson" } })).data;
if (!(file instanceof Blob)) fail("the export is no file");
equal(lines(await file.text()).length, 3);
// The function knows the first type of the body only (issue 2311 of hey-api), so the client below it sends a file.
const imported = await client.post<ImportMyTasksResponses>({
  url: "/api/tasks/import",
  security: [{ scheme: "bearer", type: "http" }],
  headers: { "Content-Type": "application/x-ndjson" },
  body: new Blob(['{"title":"Read a book"}\n']),
  bodySerializer: null,
});
equal(imported.data, { imported: 1, unchanged: 0 });

const unknown = await listMyTasks({ auth: "no-token" });
equal([unknown.response?.status, unknown.error?.code], [401, "unauthenticated"]);
// A cursor of this form is not that of a page, which only the service knows.
const refused = await listMyTasks({ query: { cursor: "no-page" } });
equal(refused.response?.status, 422);
if (refused.error?.code === "validation-failed") {
  const [violation] = refused.error.errors;
  equal(violation && "parameter" in violation ? violation.parameter : violation, "cursor");
} else fail(`not a 422: ${refused.error?.code}`);
