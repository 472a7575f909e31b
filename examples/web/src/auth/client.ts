import { jwtClient } from "better-auth/client/plugins";
import { createAuthClient } from "better-auth/react";
import { noteUnreachable } from "../connection";

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

/** A new access token of the session, for the Tasks API. Throws `SignedOutError` if the session has ended. */
export async function accessToken(): Promise<string> {
  const first = firstToken;
  firstToken = null;
  if (first) return first;
  const { data, error } = await authClient.$fetch<{ token: string }>("/token");
  if (data) return data.token;
  if (error.status === 401) throw new SignedOutError("The session has ended.");
  noteUnreachable();
  // As fetch does when there is no connection.
  throw new TypeError(error.message ?? "Better Auth does not respond.");
}
