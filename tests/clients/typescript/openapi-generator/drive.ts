/** A session with the typescript-fetch client of openapi-generator. */

import { Configuration, MyTasksApi, TasksApi, type ValidationProblem, ValidationProblemFromJSON } from "tasks";
import { ResponseError } from "tasks/runtime";

import { baseUrl, entityTag, equal, fail, nextCursor, token, userId } from "../support";

const configuration = new Configuration({ basePath: baseUrl, accessToken: token });
const mine = new MyTasksApi(configuration);

/** The answer to a call that must fail. */
async function failure(call: Promise<unknown>): Promise<Response> {
  return call.then(
    () => fail("the call did not fail"),
    (error: unknown) => (error instanceof ResponseError ? error.response : fail(String(error))),
  );
}

const milk = await mine.createMyTask({ taskCreate: { title: "Buy milk" }, idempotencyKey: "first" });
equal([milk.title, milk.description, milk.completed], ["Buy milk", null, false]);
equal(milk.createdAt instanceof Date, true);
await mine.createMyTask({ taskCreate: { title: "Call the dentist", description: "At nine" } });
await new TasksApi(configuration).createTask({ userId, taskCreate: { title: "Water the plants" } });

const first = await mine.listMyTasksRaw({ limit: 2, sort: "title" });
equal((await first.value()).map((task) => task.title), ["Buy milk", "Call the dentist"]);
const cursor = nextCursor(first.raw.headers);
const second = await mine.listMyTasksRaw({ limit: 2, sort: "title", cursor });
equal((await second.value()).map((task) => task.title), ["Water the plants"]);
equal(nextCursor(second.raw.headers), undefined);

const taskId = milk.id;
const ifMatch = entityTag((await mine.getMyTaskRaw({ taskId })).raw.headers);
const updated = await mine.updateMyTask({ taskId, ifMatch, taskUpdate: { title: "Buy oat milk" } });
equal(updated.title, "Buy oat milk");
const stale = await failure(mine.updateMyTask({ taskId, ifMatch, taskUpdate: { title: "Buy soy milk" } }));
equal(stale.status, 412);

equal((await mine.toggleMyTask({ taskId })).completed, true);
equal((await mine.patchMyTask({ taskId, taskPatch: { completed: false } })).completed, false);
await mine.deleteMyTask({ taskId });
equal((await failure(mine.getMyTask({ taskId }))).status, 404);
equal((await mine.restoreMyTask({ taskId })).title, "Buy oat milk");

const importRecord = await mine.exportMyTasks({ format: "json" });
equal(importRecord.length, 3);
equal(await mine.importMyTasks({ importRecord }), { imported: 0, unchanged: 3 });

const stranger = new MyTasksApi(new Configuration({ basePath: baseUrl, accessToken: "no-token" }));
equal((await failure(stranger.listMyTasks())).status, 401);
const refused = await failure(mine.updateMyTask({ taskId, taskUpdate: { title: "" } }));
equal(refused.status, 422);
const problem: ValidationProblem = ValidationProblemFromJSON(await refused.json());
const [violation] = problem.errors;
equal(violation && "pointer" in violation ? violation.pointer : violation, "/title");
