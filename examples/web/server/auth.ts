import { randomBytes } from "node:crypto";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

/** The tables of Better Auth, in memory: accounts are gone when the process ends. */
export function emptyDatabase() {
  return { user: [], session: [], account: [], verification: [], jwks: [] } as Record<string, Record<string, unknown>[]>;
}

export interface AuthOptions {
  /** The origin of the page. It is `iss` and `aud` of every token. */
  origin: string;
  database?: ReturnType<typeof emptyDatabase>;
  /** The lifetime of the next access token. */
  tokenSeconds?: () => number;
}

/**
 * Better Auth with email and password. Its JWT plug-in signs access tokens by EdDSA and publishes the public keys at
 * `/api/auth/jwks`, where the Tasks API fetches them.
 */
export function createAuth({ origin, database = emptyDatabase(), tokenSeconds = () => 15 * 60 }: AuthOptions) {
  return betterAuth({
    baseURL: origin,
    // It signs session cookies and encrypts the private keys, which live no longer than this process.
    secret: randomBytes(32).toString("hex"),
    database: memoryAdapter(database),
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
    plugins: [
      jwt({
        jwt: {
          definePayload: ({ user }) => ({
            email: user.email,
            name: user.name,
            exp: Math.floor(Date.now() / 1000) + tokenSeconds(),
          }),
        },
      }),
    ],
  });
}
