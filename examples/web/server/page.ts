import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { fileURLToPath } from "node:url";
import { toNodeHandler } from "better-auth/node";
import sirv from "sirv";
import { type AuthOptions, createAuth } from "./auth.ts";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));

function contentSecurityPolicy(apiUrl: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self' ${apiUrl}`,
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** A server of the built page and of Better Auth, on one origin: session cookies go nowhere else. */
export function createPageServer(apiUrl: string, auth: AuthOptions): Server {
  const authenticate = toNodeHandler(createAuth(auth));
  const policy = contentSecurityPolicy(apiUrl);
  const page = readFileSync(`${DIST}/index.html`, "utf8").replace(
    /(name="tasks-api-url" content=")[^"]*/,
    (_, before: string) => `${before}${apiUrl}`,
  );
  const files = sirv(DIST, {
    gzip: true,
    setHeaders: (response) => response.setHeader("Cache-Control", "public, max-age=31536000, immutable"),
  });
  return createServer((request, response) => {
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Referrer-Policy", "no-referrer");
    // Not by URL, which throws for some of what a request may ask for, such as "//".
    const [path] = request.url!.split("?", 1);
    if (path!.startsWith("/api/auth/")) {
      authenticate(request, response).catch(() => response.writeHead(400).end());
    } else if (path === "/") {
      response.setHeader("Content-Security-Policy", policy);
      response.setHeader("Content-Type", "text/html; charset=utf-8");
      response.setHeader("Cache-Control", "no-cache");
      response.end(page);
    } else {
      files(request, response, () => {
        response.statusCode = 404;
        response.end();
      });
    }
  });
}
