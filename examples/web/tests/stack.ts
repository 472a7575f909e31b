import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { emptyDatabase } from "../server/auth.ts";
import { createPageServer } from "../server/page.ts";
import { ROOT, Service } from "../server/service.ts";

/** Two ports, which differ because both are open at the same time. */
export async function freePorts(): Promise<[number, number]> {
  const probes = [createServer(), createServer()] as const;
  await Promise.all(probes.map((probe) => once(probe.listen(0, "localhost"), "listening")));
  const [port, other] = probes.map((probe) => (probe.address() as AddressInfo).port) as [number, number];
  await Promise.all(probes.map((probe) => once(probe.close(), "close")));
  return [port, other];
}

class Database {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#process = spawn(`${ROOT}.venv/bin/python`, ["-m", "tests.support.servers.controlled_postgres"], {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("The database does not start.");
    return value;
  }

  async command(command: "start" | "stop"): Promise<void> {
    this.#process.stdin!.write(`${command}\n`);
    await this.line();
  }

  async end(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.stdin!.end();
    await ended;
  }
}

/** PostgreSQL, the service, and the server of the page with Better Auth: all real, on ports of their own. */
export class Stack {
  readonly origin: string;
  readonly #settings: Record<string, string>;
  readonly #apiPort: number;
  readonly #database: Database;
  readonly #directory: string;
  readonly #accounts: ReturnType<typeof emptyDatabase>;
  readonly #server: ReturnType<typeof createPageServer>;
  #service: Service;
  /** The lifetime in seconds of the access tokens that Better Auth signs from now on. */
  tokenSeconds = 900;

  static async start(): Promise<Stack> {
    const database = new Database();
    const directory = await mkdtemp(join(tmpdir(), "tasks-web-"));
    const [url, [port, apiPort]] = await Promise.all([database.line(), freePorts()]);
    const stack = new Stack(database, directory, url, port, apiPort);
    await once(stack.#server, "listening");
    await stack.#service.ready();
    return stack;
  }

  private constructor(database: Database, directory: string, databaseUrl: string, port: number, apiPort: number) {
    this.origin = `http://localhost:${port}`;
    this.#database = database;
    this.#directory = directory;
    this.#apiPort = apiPort;
    this.#settings = {
      DATABASE_URL: databaseUrl,
      // Otherwise the service keeps its secret in the folder of the page.
      DATA_DIR: directory,
      BETTER_AUTH_URL: this.origin,
      CORS_ORIGINS: this.origin,
      DATABASE_WAIT_SECONDS: "1",
      RATE_LIMIT: "off",
      RATE_LIMIT_ANONYMOUS: "off",
    };
    this.#accounts = emptyDatabase();
    this.#server = createPageServer(`http://localhost:${apiPort}`, {
      origin: this.origin,
      database: this.#accounts,
      tokenSeconds: () => this.tokenSeconds,
    }).listen(port, "localhost");
    this.#service = new Service(apiPort, this.#settings);
  }

  get apiUrl(): string {
    return this.#service.url;
  }

  stopDatabase = () => this.#database.command("stop");
  startDatabase = () => this.#database.command("start");

  stopService = () => this.#service.stop();

  async startService(settings: Record<string, string> = {}): Promise<void> {
    this.#service = new Service(this.#apiPort, { ...this.#settings, ...settings });
    await this.#service.ready();
  }

  /** Make Better Auth sign with a new key, and withdraw the old ones at once. */
  rotateKeys(): string[] {
    return this.#accounts.jwks!.splice(0).map((key) => String(key.id));
  }

  async end(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await this.#service.stop();
    await this.#database.end();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
