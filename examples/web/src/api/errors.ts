import { ConnectionError, TaskConflictError, TaskNotFoundError, TryLaterError } from "tasks-api-client";
import { SignedOutError } from "../auth/client";
import { UNAVAILABLE } from "../connection";
import { TasksApiError } from "./index";

export type FieldErrors = Partial<Record<"title" | "description", string>>;

/** The violations of a refused task, by field. */
export function fieldErrors(error: unknown): FieldErrors | null {
  if (!(error instanceof TasksApiError) || error.code !== "validation-failed") return null;
  const { title, description, ...others } = error.fields;
  // What is about no field, or about one that the form lacks, stands at the first.
  const first = title ?? Object.values(others)[0];
  return { ...(first && { title: sentence(first) }), ...(description && { description: sentence(description) }) };
}

/** Whether the same request can succeed later without a change. */
export function isTemporary(error: unknown): boolean {
  if (error instanceof TasksApiError) {
    // A gateway answers without a problem document.
    return error instanceof TryLaterError || error instanceof ConnectionError || UNAVAILABLE.includes(error.status);
  }
  return error instanceof TypeError;
}

/** Whether there is no such task any more. */
export function isGone(error: unknown): boolean {
  return error instanceof TaskNotFoundError;
}

/** What to tell the user about a failed action. */
export function explanation(error: unknown): string {
  if (error instanceof SignedOutError) return "Your session has ended. Sign in again.";
  if (error instanceof TypeError || error instanceof ConnectionError) return navigator.onLine ? "The service cannot be reached." : "You are offline.";
  if (error instanceof TaskConflictError) return "It was changed elsewhere.";
  if (!(error instanceof TasksApiError)) return "Something went wrong.";
  return error.code === "unexpected-response" ? `The service did not respond as expected (status ${error.status}).` : error.detail;
}

/** Make a sentence of a violation, which is written to follow the name of its field. */
function sentence([detail = ""]: string[]): string {
  const text = detail.replace(/^must\b/, "Must").replace(/^is\b/, "Is");
  return text.endsWith(".") ? text : `${text}.`;
}
