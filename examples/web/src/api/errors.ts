import { ConnectionError, TryLaterError } from "tasks-api-client";
import { SignedOutError } from "../auth/client";
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
  if (error instanceof TasksApiError) return error instanceof TryLaterError || error instanceof ConnectionError;
  return error instanceof TypeError;
}

/** What to tell the user about a failed action. */
export function explanation(error: unknown): string {
  if (error instanceof SignedOutError) return "Your session has ended. Sign in again.";
  if (error instanceof TypeError || error instanceof ConnectionError) return navigator.onLine ? "The service cannot be reached." : "You are offline.";
  return error instanceof TasksApiError ? error.detail : "Something went wrong.";
}

/** Make a sentence of a violation, which is written to follow the name of its field. */
function sentence([detail = ""]: string[]): string {
  const text = detail.replace(/^must\b/, "Must").replace(/^is\b/, "Is");
  return text.endsWith(".") ? text : `${text}.`;
}
