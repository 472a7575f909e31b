import { jwtClient } from "better-auth/client/plugins";
import { createAuthClient } from "better-auth/react";
import { noteUnreachable } from "../connection";

/** A token that nobody has used yet; null after the first one of a user. */
let firstToken: string | null | undefined;

export const authClient = createAuthClient({
  plugins: [jwtClient()],
  fetchOptions: {
    // The JWT plug-in adds a token to the session. It spares the page a request before its first task is shown.
    onSuccess: ({ response }) => {
      if (firstToken === undefined) firstToken = response.headers.get("set-auth-jwt") ?? undefined;
    },
  },
});

/** Forget the token of a user who signs out. */
export function forgetToken(): void {
  firstToken = undefined;
}

export class SignedOutError extends Error {}

/** The user whom a token is for. */
function subjectOf(token: string): unknown {
  const payload = token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
  return (JSON.parse(atob(payload)) as { sub: unknown }).sub;
}

/**
 * A new access token of this user, for the Tasks API. Throws `SignedOutError` if the session has ended, or is another
 * user's: someone else may have signed in since, here or in another tab.
 */
export async function accessToken(userId: string): Promise<string> {
  const first = firstToken;
  if (first && subjectOf(first) === userId) {
    firstToken = null;
    return first;
  }
  const { data, error } = await authClient.$fetch<{ token: string }>("/token").catch(unreachable);
  if (data && subjectOf(data.token) === userId) return data.token;
  if (data || error.status === 401) throw new SignedOutError("The session has ended.");
  noteUnreachable();
  // As fetch does when there is no connection.
  throw new TypeError(error.message || "Better Auth does not respond.");
}

/** Better Auth's client throws when there is no response. */
function unreachable(): { data: null; error: { code?: string; status: number; message: string } } {
  const message = navigator.onLine ? "The page's server cannot be reached." : "You are offline.";
  return { data: null, error: { status: 0, message } };
}

/** Why a request to Better Auth has failed, or null. */
export async function failureOf(request: Promise<{ error: { code?: string | undefined; message?: string | undefined } | null }>) {
  const { error } = await request.catch(unreachable);
  return error && { code: error.code, message: error.message || unreachable().error.message };
}
