/** A session with the options that orval generates for TanStack Query, as its `use` functions take them. */

import { MutationObserver, QueryClient, type UseMutationOptions } from "@tanstack/react-query";
import {
  getCreateMyTaskMutationOptions,
  getDeleteMyTaskMutationOptions,
  getExportMyTasksQueryOptions,
  getGetMyTaskQueryOptions,
  getImportMyTasksMutationOptions,
  getListMyTasksQueryOptions,
  getRestoreMyTaskMutationOptions,
  getToggleMyTaskMutationOptions,
  getUpdateMyTaskMutationOptions,
} from "tasks";

import { entityTag, equal, fail, nextCursor, signedIn } from "../support";

const fetch = signedIn();
const queries = new QueryClient({ defaultOptions: { queries: { retry: false, staleTime: 0 } } });

function mutate<Data, Failure, Variables>(options: UseMutationOptions<Data, Failure, Variables>, variables: Variables) {
  return new MutationObserver<Data, Failure, Variables>(queries, options).mutate(variables);
}

const create = getCreateMyTaskMutationOptions({ fetch });
const created = await mutate(create, { data: { title: "Buy milk" } });
if (created.status !== 201) fail(created.data.detail);
const milk = created.data;
equal([milk.title, milk.description, milk.completed], ["Buy milk", null, false]);
await mutate(create, { data: { title: "Call the dentist", description: "At nine" } });
await mutate(create, { data: { title: "Water the plants" } });

const first = await queries.fetchQuery(getListMyTasksQueryOptions({ limit: 2, sort: "title" }, { fetch }));
if (first.status !== 200) fail();
equal(first.data.map((task) => task.title), ["Buy milk", "Call the dentist"]);
const next = { limit: 2, sort: "title", cursor: nextCursor(first.headers) } as const;
const second = await queries.fetchQuery(getListMyTasksQueryOptions(next, { fetch }));
if (second.status !== 200) fail();
equal(second.data.map((task) => task.title), ["Water the plants"]);
equal(nextCursor(second.headers), undefined);

const read = await queries.fetchQuery(getGetMyTaskQueryOptions(milk.id, { fetch }));
const guarded = getUpdateMyTaskMutationOptions({ fetch: signedIn({ "If-Match": entityTag(read.headers) }) });
const updated = await mutate(guarded, { taskId: milk.id, data: { title: "Buy oat milk" } });
equal(updated.status === 200 && updated.data.title, "Buy oat milk");
const stale = await mutate(guarded, { taskId: milk.id, data: { title: "Buy soy milk" } });
equal(stale.status === 412 && (stale.data.code satisfies "precondition-failed"), "precondition-failed");

const toggled = await mutate(getToggleMyTaskMutationOptions({ fetch }), { taskId: milk.id });
equal(toggled.status === 200 && toggled.data.completed, true);
equal((await mutate(getDeleteMyTaskMutationOptions({ fetch }), { taskId: milk.id })).status, 204);
const restored = await mutate(getRestoreMyTaskMutationOptions({ fetch }), { taskId: milk.id });
equal(restored.status === 200 && restored.data.title, "Buy oat milk");

const exported = await queries.fetchQuery(getExportMyTasksQueryOptions({ format: "json" }, { fetch }));
if (exported.status !== 200) fail();
if (!Array.isArray(exported.data)) fail("the export is no array");
equal(exported.data.length, 3);
const imported = await mutate(getImportMyTasksMutationOptions({ fetch }), { data: exported.data });
equal(imported.data, { imported: 0, unchanged: 3 });

const stranger = { fetch: signedIn({ Authorization: "Bearer no-token" }) };
const unknown = await queries.fetchQuery(getListMyTasksQueryOptions({}, stranger));
equal(unknown.status === 401 && unknown.data.code, "unauthenticated");
const update = getUpdateMyTaskMutationOptions({ fetch });
const refused = await mutate(update, { taskId: milk.id, data: { title: "" } });
if (refused.status !== 422) fail(`not a 422: ${refused.status}`);
const [violation] = refused.data.errors;
equal(violation && "pointer" in violation ? violation.pointer : violation, "/title");
