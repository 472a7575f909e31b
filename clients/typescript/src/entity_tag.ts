import type { Task } from "./generated/types.gen.js";

/**
 * Return the `ETag` of a task: its `updated_at` in microseconds, hexadecimal, as the document defines it.
 *
 * So a task from a list, an export or a cache has a version, and it needs no member or map that a copy would lose.
 */
export function entityTag(task: Pick<Task, "updated_at">): string {
  const [seconds, fraction = ""] = task.updated_at.slice(0, -1).split(".");
  const microseconds = Date.parse(`${seconds}Z`) * 1000 + Number(fraction.padEnd(6, "0"));
  return `"${microseconds.toString(16)}"`;
}
