import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** A running `tasks-api serve`. */
export class Service {
  readonly url: string;
  readonly #process: ChildProcess;
  #output = "";

  constructor(port: number, settings: Record<string, string>) {
    this.url = `http://localhost:${port}`;
    this.#process = spawn(`${ROOT}.venv/bin/tasks-api`, ["serve"], {
      env: { PATH: process.env.PATH, ...settings, PORT: String(port) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-20_000);
      });
    }
  }

  /** Wait until it accepts requests. Throws with its last output if it ends instead. */
  async ready(): Promise<void> {
    while (this.#process.exitCode === null && this.#process.signalCode === null) {
      // Not another service, which has the port already.
      if (this.#output.includes("service.running")) {
        const response = await fetch(`${this.url}/health/ready`).catch(() => null);
        if (response?.ok) return;
      }
      await pause(50);
    }
    throw new Error(`The service does not start:\n${this.#output}`);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    await ended;
  }

  /** Resolves when it has ended. */
  async ended(): Promise<void> {
    if (this.#process.exitCode === null) await once(this.#process, "exit");
  }
}
