import { type ChildProcess, spawn } from "node:child_process";
import { on, once } from "node:events";
import { createInterface } from "node:readline";
import { createPageServer } from "../server/page.ts";
import { ROOT } from "../server/service.ts";
import { freePorts } from "./stack.ts";

/** The page in front of `make mock`, which answers with the examples of the document: no service, no database. */
export class Mock {
  readonly origin: string;
  readonly apiUrl: string;
  readonly #prism: ChildProcess;
  readonly #server: ReturnType<typeof createPageServer>;

  static async start(): Promise<Mock> {
    const mock = new Mock(...(await freePorts()));
    await once(mock.#server, "listening");
    await mock.#ready();
    return mock;
  }

  private constructor(port: number, apiPort: number) {
    this.origin = `http://localhost:${port}`;
    this.apiUrl = `http://127.0.0.1:${apiPort}`;
    this.#server = createPageServer(this.apiUrl, { origin: this.origin }).listen(port, "localhost");
    this.#prism = spawn("make", ["mock", `PORT=${apiPort}`], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  }

  async #ready(): Promise<void> {
    const lines = createInterface({ input: this.#prism.stdout! });
    for await (const [line] of on(lines, "line", { close: ["close"] })) {
      if (String(line).includes("Prism is listening")) return;
    }
    throw new Error("The mock does not start.");
  }

  async end(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#prism.exitCode !== null || this.#prism.signalCode !== null) return;
    const ended = once(this.#prism, "exit");
    this.#prism.kill();
    await ended;
  }
}
