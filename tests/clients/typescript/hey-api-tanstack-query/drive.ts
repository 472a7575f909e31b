/** A session with the options that hey-api generates for TanStack Query, as `useQuery` and `useMutation` take them. */

import { MutationObserver, QueryClient, type UseMutationOptions } from "@tanstack/react-query";
import {
  createMyTaskMutation,
  deleteMyTaskMutation,
  exportMyTasksOptions,
  getMyTaskOptions,
  importMyTasksMutation,
  listMyTasksOptions,
  restoreMyTaskMutation,
  toggleMyTaskMutation,
  updateMyTaskMutation,
} from "tasks/@tanstack/react-query.gen";
import { client } from "tasks/client.gen";
import type { ListMyTasksError, UpdateMyTaskError } from "tasks";

import { baseUrl, entityTag, equal, fail, lines, nextCursor, present, token } from "../support";

client.setConfig({ baseUrl, auth: () => token });
// The options give the data only; an interceptor sees the headers.
let headers = new Headers();
client.interceptors.response.use((response) => {
  headers = response.headers;
  return response;
});

const queries = new QueryClient({ defaultOptions: { queries: { retry: false, staleTime: 0 } } });

function mutate<Data, Failure, Variables>(options: UseMutationOptions<Data, Failure, Variables>, variables: Variables) {
  return new MutationObserver<Data, Failure, Variables>(queries, options).mutate(variables);
}

/** The error of a call that must fail, with the type that the generator gives it. */
async function failure<Failure>(call: Promise<unknown>): Promise<Failure> {
  return call.then(() => fail("the call did not fail"), (error: Failure) => error);
}

const milk = await mutate(createMyTaskMutation(), { body: { title: "Buy milk" } });
equal([milk.title, milk.description, milk.completed], ["Buy milk", null, false]);
await mutate(createMyTaskMutation(), { body: { title: "Call the dentist", description: "At nine" } });
await mutate(createMyTaskMutation(), { body: { title: "Water the plants" } });

const query = { limit: 2, sort: "title" } as const;
const first = await queries.fetchQuery(listMyTasksOptions({ query }));
equal(first.map((task) => task.title), ["Buy milk", "Call the dentist"]);
const second = await queries.fetchQuery(listMyTasksOptions({ query: { ...query, cursor: nextCursor(headers) } }));
equal(second.map((task) => task.title), ["Water the plants"]);

const path = { task_id: milk.id };
await queries.fetchQuery(getMyTaskOptions({ path }));
const version = { "If-Match": entityTag(headers) };
const updated = await mutate(updateMyTaskMutation(), { path, body: { title: "Buy oat milk" }, headers: version });
equal(updated.title, "Buy oat milk");
const stale = await failure<UpdateMyTaskError>(
  mutate(updateMyTaskMutation(), { path, body: { title: "Buy soy milk" }, headers: version }),
);
equal(stale.code, "precondition-failed");

equal((await mutate(toggleMyTaskMutation(), { path })).completed, true);
await mutate(deleteMyTaskMutation(), { path });
equal((await mutate(restoreMyTaskMutation(), { path })).title, "Buy oat milk");

const records = await queries.fetchQuery(exportMyTasksOptions({ query: { format: "json" } }));
if (!Array.isArray(records)) fail("the export is no array");
equal(await mutate(importMyTasksMutation(), { body: records }), { imported: 0, unchanged: 3 });
const file = await queries.fetchQuery(exportMyTasksOptions({ query: { format: "ndjson" } }));
if (!(file instanceof Blob)) fail("the export is no file");
equal(lines(await file.text()).length, 3);

const unknown = await failure<ListMyTasksError>(queries.fetchQuery(listMyTasksOptions({ auth: "no-token" })));
equal(unknown.code, "unauthenticated");
const refused = await failure<UpdateMyTaskError>(mutate(updateMyTaskMutation(), { path, body: { title: "" } }));
if (refused.code === "validation-failed") {
  const [violation] = refused.errors;
  equal(violation && "pointer" in violation ? violation.pointer : violation, "/title");
} else fail(`not a 422: ${refused.code}`);
