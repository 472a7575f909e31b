/** What the programs that use the generated clients share: the running service, and checks of answers. */

import { deepStrictEqual as equal, fail } from "node:assert/strict";

export { equal, fail };

function setting(name: string): string {
  return process.env[name] ?? fail(`${name} is not set`);
}

/** The address of the running service. */
export const baseUrl = setting("TASKS_URL");
/** A token of a user who has no tasks yet, and their id. */
export const token = setting("TASKS_TOKEN");
export const userId = setting("TASKS_USER");

/** The value, which must be there. */
export function present<T>(value: T | null | undefined, what: string): T {
  return value ?? fail(`there is no ${what}`);
}

/** The cursor of the next page, from the Link header of a list. */
export function nextCursor(headers: Headers | undefined): string | undefined {
  const address = /^<([^>]+)>; rel="next"$/.exec(headers?.get("link") ?? "")?.[1];
  return address === undefined ? undefined : present(new URL(address, baseUrl).searchParams.get("cursor"), "cursor");
}

/** The entity tag of an answer. */
export function entityTag(headers: Headers | undefined): string {
  return present(headers?.get("etag"), "ETag");
}

/** The records of an export in newline-delimited JSON. */
export function lines(text: string): unknown[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** The options of a request of the token's user, for clients that know of no authentication. */
export function signedIn(headers: Record<string, string> = {}): { headers: Record<string, string> } {
  return { headers: { Authorization: `Bearer ${token}`, ...headers } };
}
