/** What the tests use: services that run, a proxy that fails, and users. */

import { createTasksClient, type RetryOptions, type TasksClient } from "tasks-api-client";
import { inject } from "vitest";

/** The addresses, and the secret of the tokens. `tests/client_package` starts all of it. */
export interface Stage {
  service: string;
  /** A service with a rate limit of two requests in a second for each user. */
  limited: string;
  /** A service whose database is away. */
  unavailable: string;
  /** Fails as the path says; see tests/client_package/faults.py. */
  proxy: string;
  /** `make mock`. */
  mock: string;
  secret: string;
  /** The operations that take an `Idempotency-Key`, by the document. */
  keyed: string[];
}

declare module "vitest" {
  export interface ProvidedContext {
    stage: Stage;
  }
}

export const stage = inject("stage");

/** Waits are as short as the service allows. */
export const FAST: RetryOptions = { delay: 20 };

export interface User {
  id: string;
  token: string;
}

/** Return a user whom no other test has, with a token for this many seconds. */
export async function newUser(seconds = 600, id = `user-${crypto.randomUUID()}`): Promise<User> {
  const claims = { sub: id, exp: Math.floor(Date.now() / 1000) + seconds };
  const text = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => base64url(JSON.stringify(part))).join(".");
  const bytes = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes.encode(stage.secret), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, bytes.encode(text));
  return { id, token: `${text}.${base64url(String.fromCharCode(...new Uint8Array(signature)))}` };
}

function base64url(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Return a client of a new user. */
export async function newClient(baseUrl = stage.service, retry: RetryOptions = FAST): Promise<TasksClient> {
  return createTasksClient({ baseUrl, token: (await newUser()).token, retry });
}

/** A client behind the proxy, one of the same user without it, and the number of requests that the proxy has seen. */
export interface Failing {
  client: TasksClient;
  direct: TasksClient;
  requests: () => Promise<number>;
}

/** Return a client whose first requests have these outcomes. */
export async function failing(plan: string, retry: RetryOptions = FAST): Promise<Failing> {
  const { token } = await newUser();
  const baseUrl = `${stage.proxy}/${plan}/${crypto.randomUUID()}`;
  return {
    client: createTasksClient({ baseUrl, token, retry }),
    direct: createTasksClient({ baseUrl: stage.service, token, retry }),
    requests: async () => (await fetch(`${baseUrl}/requests`)).json(),
  };
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Return the error that a promise is rejected with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("The call did not fail.");
    },
    (error: unknown) => error,
  );
}
