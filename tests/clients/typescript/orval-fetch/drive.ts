/** A session with the fetch client of orval, which returns the status, the headers and the body of every answer. */

import {
  createMyTask,
  createTask,
  deleteMyTask,
  exportMyTasks,
  getMyTask,
  importMyTasks,
  listMyTasks,
  patchMyTask,
  restoreMyTask,
  toggleMyTask,
  updateMyTask,
} from "tasks";

import { entityTag, equal, fail, lines, nextCursor, signedIn, userId } from "../support";

const created = await createMyTask({ title: "Buy milk" }, signedIn({ "Idempotency-Key": "first" }));
if (created.status !== 201) fail(created.data.detail);
const milk = created.data;
equal([milk.title, milk.description, milk.completed], ["Buy milk", null, false]);
await createMyTask({ title: "Call the dentist", description: "At nine" }, signedIn());
await createTask(userId, { title: "Water the plants" }, signedIn());

const first = await listMyTasks({ limit: 2, sort: "title" }, signedIn());
if (first.status !== 200) fail();
equal(first.data.map((task) => task.title), ["Buy milk", "Call the dentist"]);
const second = await listMyTasks({ limit: 2, sort: "title", cursor: nextCursor(first.headers) }, signedIn());
if (second.status !== 200) fail();
equal(second.data.map((task) => task.title), ["Water the plants"]);
equal(nextCursor(second.headers), undefined);

const read = await getMyTask(milk.id, signedIn());
const version = { "If-Match": entityTag(read.headers) };
const updated = await updateMyTask(milk.id, { title: "Buy oat milk" }, signedIn(version));
equal(updated.status === 200 && updated.data.title, "Buy oat milk");
const stale = await updateMyTask(milk.id, { title: "Buy soy milk" }, signedIn(version));
equal(stale.status === 412 && (stale.data.code satisfies "precondition-failed"), "precondition-failed");

const toggled = await toggleMyTask(milk.id, signedIn());
equal(toggled.status === 200 && toggled.data.completed, true);
const patched = await patchMyTask(milk.id, { completed: false }, signedIn());
equal(patched.status === 200 && patched.data.completed, false);
equal((await deleteMyTask(milk.id, {}, signedIn())).status, 204);
const missing = await getMyTask(milk.id, signedIn());
equal(missing.status === 404 && (missing.data.code satisfies "task-not-found"), "task-not-found");
const restored = await restoreMyTask(milk.id, signedIn());
equal(restored.status === 200 && restored.data.title, "Buy oat milk");

const exported = await exportMyTasks({}, signedIn());
if (exported.status !== 200) fail();
if (!Array.isArray(exported.data)) fail("the export is no array");
equal(exported.data.length, 3);
const imported = await importMyTasks(exported.data, signedIn());
equal(imported.data, { imported: 0, unchanged: 3 });

const unknown = await listMyTasks({}, { headers: { Authorization: "Bearer no-token" } });
equal(unknown.status === 401 && unknown.data.code, "unauthenticated");
const refused = await updateMyTask(milk.id, { title: "" }, signedIn());
if (refused.status !== 422) fail(`not a 422: ${refused.status}`);
const [violation] = refused.data.errors;
equal(violation && "pointer" in violation ? violation.pointer : violation, "/title");
