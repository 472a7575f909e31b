/** Starts the service with its embedded PostgreSQL, and Better Auth with the built page: `make demo`. */

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPageServer } from "./page.ts";
import { Service } from "./service.ts";

const port = Number(process.env.PORT ?? 3000);
const apiPort = Number(process.env.API_PORT ?? 8000);
const origin = `http://localhost:${port}`;

const server = createPageServer(`http://localhost:${apiPort}`, { origin });
try {
  server.listen(port, "localhost");
  await once(server, "listening");
} catch (error) {
  console.error(`Port ${process.env.PORT ?? port} cannot be used (${(error as Error).message}). PORT chooses another one.`);
  process.exit(1);
}

// Accounts live in the memory of this process, so tasks need not live longer either.
const directory = await mkdtemp(join(tmpdir(), "tasks-demo-"));
const service = new Service(apiPort, { DATA_DIR: join(directory, "data"), BETTER_AUTH_URL: origin, CORS_ORIGINS: origin });

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  server.close();
  server.closeAllConnections();
  await service.stop();
  await rm(directory, { recursive: true, force: true });
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop());

try {
  await service.ready();
  console.log(`\n  The page:         ${origin}\n  The Tasks API:    ${service.url}/docs\n\n  Sign up with any address. Ctrl-C ends everything.\n`);
  await service.ended();
} catch (error) {
  if (!stopping) console.error(error instanceof Error ? error.message : error);
  process.exitCode = stopping ? 0 : 1;
} finally {
  await stop();
}
