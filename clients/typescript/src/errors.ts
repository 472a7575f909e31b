/** Errors as classes. A switch on `code` narrows a `TasksApiError` to the class that has the code. */

import type {
  BodyViolation,
  ConflictProblem,
  ContentTooLargeProblem,
  ForbiddenProblem,
  InternalErrorProblem,
  MalformedRequestProblem,
  ParameterViolation,
  PreconditionFailedProblem,
  RecordViolation,
  RefusalProblem,
  ServiceUnavailableProblem,
  Task,
  TaskNotFoundProblem,
  TooManyRequestsProblem,
  UnauthenticatedProblem,
  UnsupportedMediaTypeProblem,
  ValidationProblem,
} from "./generated/types.gen.js";

/** A violation in the body, in a parameter, or in a record of an imported file. */
export type Violation = BodyViolation | ParameterViolation | RecordViolation;

/** Codes of errors that have no class of their own. */
type OtherCode =
  | (
      | ContentTooLargeProblem
      | ForbiddenProblem
      | InternalErrorProblem
      | MalformedRequestProblem
      | RefusalProblem
      | UnsupportedMediaTypeProblem
    )["code"]
  // No operation has these: an address or a method that the service does not know.
  | "not-found"
  | "method-not-allowed"
  // The response is no problem document, for example that of a proxy.
  | "unexpected-response";

type TemporaryCode = (ConflictProblem | ServiceUnavailableProblem | TooManyRequestsProblem)["code"];

interface Problem {
  code: string;
  status: number;
  title: string;
  detail: string;
  instance?: string;
  errors?: Violation[];
}

abstract class ErrorBase<Code extends string> extends Error {
  /** The kind of the error, which is stable. */
  readonly code: Code;
  /** The status of the response. 0 without one, and for a redirection in a browser, which hides its status. */
  readonly status: number;
  readonly title: string;
  /** An explanation for people. */
  readonly detail: string;
  /** The violations of a request that is not valid; otherwise empty. */
  readonly errors: readonly Violation[];
  /** The id of the response in the log of the service. */
  readonly requestId: string | undefined;
  /** The seconds to wait before the next attempt. */
  readonly retryAfter: number | undefined;
  /** Whether this or an earlier attempt may have been carried out although there was no response. */
  uncertain = false;

  constructor(problem: Problem, response?: Response, cause?: unknown) {
    super(problem.detail, cause === undefined ? undefined : { cause });
    this.name = "TasksApiError";
    this.code = problem.code as Code;
    this.status = problem.status;
    this.title = problem.title;
    this.detail = problem.detail;
    this.errors = problem.errors ?? [];
    this.requestId = response?.headers.get("X-Request-ID") ?? undefined;
    this.retryAfter = secondsIn(response?.headers.get("Retry-After"));
  }

  /** The details of `errors` by field: `title` for the pointer `/title`, a parameter's name, or the number of a line. */
  get fields(): Record<string, string[]> {
    // A member may be called `constructor`.
    const fields: Record<string, string[]> = Object.create(null);
    for (const error of this.errors) {
      const field =
        "pointer" in error ? error.pointer.slice(1) : "parameter" in error ? error.parameter : String(error.line);
      (fields[field] ??= []).push(error.detail);
    }
    return fields;
  }
}

/** The request does not satisfy the contract. `errors` lists the violations, and `fields` has them by field. */
export class ValidationError extends ErrorBase<ValidationProblem["code"]> {}

/** The task has changed since it was read, and the request has changed nothing. `current` is the task as it is now. */
export class TaskConflictError extends ErrorBase<PreconditionFailedProblem["code"]> {
  current!: Task;
}

/** There is no such task. It may be in the trash. */
export class TaskNotFoundError extends ErrorBase<TaskNotFoundProblem["code"]> {}

/** The token is missing, not valid, or has expired and its function gave no new one. Let the user sign in. */
export class UnauthenticatedError extends ErrorBase<UnauthenticatedProblem["code"]> {}

/** The service cannot process the request now, also after the retries. `retryAfter` says when to try again. */
export class TryLaterError extends ErrorBase<TemporaryCode> {}

/** The request got no complete response, also after the retries. `cause` is the error of `fetch`. */
export class ConnectionError extends ErrorBase<"connection-lost"> {
  constructor(cause: unknown) {
    const title = "Connection lost";
    super({ code: "connection-lost", status: 0, title, detail: "The request got no complete response." }, undefined, cause);
  }
}

/** Any other error of the service. */
export class OtherError extends ErrorBase<OtherCode> {}

/** Every error of a request. `instanceof TasksApiError` tells it from others, and its `code` narrows it. */
export type TasksApiError =
  | ConnectionError
  | OtherError
  | TaskConflictError
  | TaskNotFoundError
  | TryLaterError
  | UnauthenticatedError
  | ValidationError;
export const TasksApiError = ErrorBase as unknown as abstract new (...problem: never) => TasksApiError;

const CLASSES: Record<string, new (problem: Problem, response: Response) => TasksApiError> = {
  "precondition-failed": TaskConflictError,
  "request-in-progress": TryLaterError,
  "service-unavailable": TryLaterError,
  "task-not-found": TaskNotFoundError,
  "token-expired": UnauthenticatedError,
  "too-many-requests": TryLaterError,
  unauthenticated: UnauthenticatedError,
  "validation-failed": ValidationError,
};

/** The seconds of a `Retry-After`, which is a number or a date (RFC 9110, section 10.2.3). */
function secondsIn(value: string | null | undefined): number | undefined {
  if (!value) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.max(seconds, 0);
}

/** Return the error that a response is. One that is not the service's, such as the page of a proxy, is unexpected. */
export async function problemOf(response: Response): Promise<TasksApiError> {
  const { status } = response;
  const type = response.headers.get("Content-Type") ?? "no type";
  // A browser hides the status of a redirection.
  const found = response.type === "opaqueredirect" ? "a redirection" : `status ${status}, ${type}`;
  const detail = `The response is not the service's: ${found}.`;
  const problem = { code: "unexpected-response", status, title: "Unexpected response", detail };
  const text = await response.text();
  if (type.startsWith("application/problem+json")) Object.assign(problem, problemIn(text));
  const ErrorClass = Object.hasOwn(CLASSES, problem.code) ? CLASSES[problem.code]! : OtherError;
  return new ErrorClass(problem, response);
}

function problemIn(text: string): Partial<Problem> {
  try {
    const problem = JSON.parse(text);
    return typeof problem?.code === "string" ? problem : {};
  } catch {
    return {};
  }
}
