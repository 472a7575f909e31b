/** Sends requests: address, token, retries, and errors. The generated functions and the ones of `tasks.ts` use it. */

import { ConnectionError, problemOf, type TasksApiError } from "./errors.js";
import { abortable, pause } from "./waiting.js";

/** A bearer token, or a function that gets one. The client keeps it until the service says that it has expired. */
export type Token = string | (() => string | Promise<string>);

export interface RetryOptions {
  /** How often a request is sent at most. 1 turns retries off. Default: 5. */
  attempts?: number | undefined;
  /** The longest wait before the first retry in milliseconds, without `Retry-After`. It doubles each time. Default: 300. */
  delay?: number | undefined;
  /** The longest wait in milliseconds. A request that the service asks to wait longer fails at once. Default: 30,000. */
  maxDelay?: number | undefined;
  /** Called before each wait, with the reason and the time in milliseconds. */
  onRetry?: ((reason: TasksApiError, delay: number) => void) | undefined;
}

export interface ClientOptions {
  /** The address of the service, such as `https://tasks.example.com`. */
  baseUrl: string;
  /** Without it, only public operations work. */
  token?: Token | undefined;
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch | undefined;
  retry?: RetryOptions | undefined;
}

/** The types of an operation, as the generator writes them. */
export interface TDataShape {
  body?: unknown;
  headers?: unknown;
  path?: unknown;
  query?: unknown;
  url: string;
}

/** What `meta` of a generated function may contain. */
export interface ClientMeta {}

interface CallOptions {
  signal?: AbortSignal | undefined;
  /** How to read the content of a successful response: not, for a stream, or as a file. Default: by its type. */
  as?: "stream" | "blob";
}

/** The arguments of a generated function. */
export type Options<Data extends TDataShape = TDataShape, _Throw extends boolean = boolean, _Response = unknown> = Omit<
  Data,
  "url"
> &
  CallOptions;

/** The content and the response. Errors are thrown. `data` is undefined if there is no content, or if it is a stream. */
export interface Result<Content> {
  data: Content;
  response: Response;
}

export type RequestResult<Responses, _Errors = unknown, _Throw extends boolean = boolean> = Promise<
  Result<Responses[keyof Responses]>
>;

interface OperationRequest extends CallOptions {
  url: string;
  security?: ReadonlyArray<unknown>;
  body?: unknown;
  headers?: unknown;
  path?: unknown;
  query?: unknown;
}

interface Message {
  target: string;
  method: string;
  headers: Headers;
  request: OperationRequest;
}

type Send = <Responses, Errors = unknown, Throw extends boolean = boolean>(
  request: OperationRequest,
) => RequestResult<Responses, Errors, Throw>;

/** Sends the requests of one user's session. Pass it to the functions. */
export interface Client {
  /** Send a GET request, as the generated functions do. */
  get: Send;
  /** Send a POST request, as the generated functions do. */
  post: Send;
  /** Send a PUT request, as the generated functions do. */
  put: Send;
  /** Send a PATCH request, as the generated functions do. */
  patch: Send;
  /** Send a DELETE request, as the generated functions do. */
  delete: Send;
}

/** Operations that take an `Idempotency-Key`; all others refuse it. */
const KEYED = /\/(tasks|import|restore)$/;
/** Operations whose repetition has another effect, unless `If-Match` prevents it. */
const TOGGLE = /\/(toggle|complete)$/;
/** Statuses after which the same request may succeed: those with `Retry-After`, and those of gateways. */
const TEMPORARY = new Set([409, 429, 502, 503, 504]);
/** The types of content in the document. A success of another type is not the service's. */
const CONTENT = /^(application\/(json|x-ndjson)|text\/csv)\b/;
/** Statuses of successes without content. */
const EMPTY = new Set([204, 304]);

/** Return a client for one user. Make another one when another user signs in, because it keeps the token. */
export function createClient(options: ClientOptions): Client {
  const { token, fetch: send = (...request) => fetch(...request) } = options;
  const baseUrl = options.baseUrl.replace(/\/+$/, "");
  const { attempts = 5, delay = 300, maxDelay = 30_000, onRetry } = options.retry ?? {};
  let kept: Promise<string> | undefined;

  /** The token that is kept, or a new one. Requests that start together share one call; one that fails is not kept. */
  function currentToken(): Promise<string> {
    if (kept) return kept;
    const asked = (async () => (typeof token === "function" ? token() : token!))();
    asked.catch(() => forget(asked));
    return (kept = asked);
  }

  function forget(used: Promise<string> | undefined): void {
    if (kept === used) kept = undefined;
  }

  async function call(method: string, request: OperationRequest): Promise<Result<never>> {
    const { url, path, security, signal } = request;
    signal?.throwIfAborted();
    const message = { target: baseUrl + addressOf(request), method, headers: headersOf(method, request), request };
    const versioned = message.headers.has("If-Match");
    const repeatable = versioned || !TOGGLE.test(url);
    let uncertain = false;
    for (let attempt = 1; ; attempt++) {
      const result = await exchange(message);
      if ("response" in result) return result;
      const lost = result.code === "connection-lost";
      uncertain ||= lost || result.status >= 500;
      result.uncertain = uncertain;
      const asked = (result.retryAfter ?? 0) * 1000;
      if (repeatable && (lost || TEMPORARY.has(result.status)) && attempt < attempts && asked <= maxDelay) {
        const wait = randomWait(asked, Math.min(delay * 2 ** (attempt - 1), maxDelay));
        onRetry?.(result, wait);
        await pause(wait, signal);
        continue;
      }
      if (result.code === "precondition-failed" && versioned) {
        result.current = (await call("GET", { url: url.replace(TOGGLE, ""), path, security, signal })).data;
      }
      throw result;
    }
  }

  /** Send a request with the token, and once more with a new one if the token has expired. */
  async function exchange(message: Message): Promise<Result<never> | TasksApiError> {
    const { headers, request } = message;
    for (let renewed = false; ; renewed = true) {
      const used = request.security && token !== undefined ? currentToken() : undefined;
      if (used) headers.set("Authorization", `Bearer ${await abortable(used, request.signal)}`);
      const result = await sendOnce(message);
      if ("response" in result || result.status !== 401) return result;
      forget(used);
      if (result.code !== "token-expired" || renewed || typeof token !== "function") return result;
    }
  }

  async function sendOnce({ target, method, headers, request }: Message): Promise<Result<never> | TasksApiError> {
    // In React Server Components, `fetch` repeats its first response to a GET without a signal, also to a retry.
    const { body, signal = new AbortController().signal } = request;
    const content = typeof body === "string" || body instanceof Blob ? body : JSON.stringify(body);
    try {
      // Followed, a redirection of a POST becomes a GET, and loses the token at another origin. The service has none.
      const response = await send(target, { method, headers, body: content ?? null, signal, redirect: "manual" });
      // In Node.js, reading a compressed body may never end after an abort.
      return await abortable(resultOf(response, request.as), signal);
    } catch (cause) {
      signal.throwIfAborted();
      return new ConnectionError(cause);
    }
  }

  const sender = (method: string) => ((request: OperationRequest) => call(method, request)) as Send;
  return {
    get: sender("GET"),
    post: sender("POST"),
    put: sender("PUT"),
    patch: sender("PATCH"),
    delete: sender("DELETE"),
  };
}

function headersOf(method: string, { url, headers }: OperationRequest): Headers {
  const fields = new Headers(present(headers));
  if (method !== "GET" && KEYED.test(url) && !fields.has("Idempotency-Key")) fields.set("Idempotency-Key", randomKey());
  return fields;
}

/** The milliseconds to wait: as many as the service asks for, or else a random number, at most `most`. */
function randomWait(asked: number, most: number): number {
  // Up to a quarter more than asked for keeps clients apart that were refused together.
  return asked ? asked * (1 + Math.random() / 4) : Math.random() * most;
}

function present(members: unknown): [string, string][] {
  return Object.entries(members ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)]);
}

function addressOf({ url, path, query }: OperationRequest): string {
  const address = url.replace(/{(\w+)}/g, (_, name) => encodeURIComponent((path as Record<string, string>)[name]!));
  const parameters = new URLSearchParams(present(query)).toString();
  return parameters ? `${address}?${parameters}` : address;
}

async function resultOf(response: Response, as: CallOptions["as"]): Promise<Result<never> | TasksApiError> {
  const empty = EMPTY.has(response.status);
  const type = response.headers.get("Content-Type") ?? "";
  if (!empty && !(response.ok && CONTENT.test(type))) return problemOf(response);
  const read = empty || as === "stream" ? undefined : as !== "blob" && type.includes("/json") ? "json" : "blob";
  return { data: (read && (await response[read]())) as never, response };
}

/** A key that nobody else chooses. `crypto.randomUUID` is missing on pages that are served without TLS. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
}
