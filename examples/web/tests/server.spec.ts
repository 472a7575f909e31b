/** The server of the page, and `make demo`. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "./fixtures.ts";
import { freePorts } from "./stack.ts";

const FOLDER = fileURLToPath(new URL("..", import.meta.url));

/** Send a request as no browser does, and return the status. */
async function status(port: number, target: string, host = "localhost"): Promise<string | undefined> {
  const socket = connect(port, "localhost").setEncoding("utf8");
  socket.end(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  let response = "";
  for await (const text of socket) response += text;
  return response.split(" ")[1];
}

test("the page's server answers whatever it is asked", async ({ stack }) => {
  const port = Number(new URL(stack.origin).port);
  expect(await status(port, "//")).toBe("404");
  expect(await status(port, "/%E0%A4%A")).toBe("404");
  expect(await status(port, "/../package.json")).toBe("404");
  expect(await status(port, "/api/auth/get-session", "[")).toBe("400");
  expect(await status(port, "/?status=all")).toBe("200");
});

test("the service keeps its secret outside the checkout", ({ stack: _ }) => {
  expect(existsSync(join(FOLDER, "data"))).toBe(false);
});

test.describe("make demo", () => {
  let directory: string;
  let demo: ChildProcess;
  let output: string;

  /** Start what `make demo` starts, with temporary files in `directory`. */
  function start(port: number, apiPort: number): void {
    demo = spawn(process.execPath, ["--import", "tsx", "server/demo.ts"], {
      cwd: FOLDER,
      env: { ...process.env, PORT: String(port), API_PORT: String(apiPort), TMPDIR: directory },
    });
    output = "";
    for (const stream of [demo.stdout!, demo.stderr!]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }

  /** Its exit status, when it has ended and left no file. */
  async function ended(): Promise<number> {
    const [code] = (await once(demo, "close")) as [number];
    // tsx keeps what it has compiled.
    expect((await readdir(directory)).filter((name) => !name.startsWith("tsx-"))).toEqual([]);
    return code;
  }

  test.beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "demo-test-"));
  });

  test.afterEach(async () => {
    demo.kill("SIGKILL");
    await rm(directory, { recursive: true });
  });

  test("prints the address, and Ctrl-C ends everything", async () => {
    const [port, apiPort] = await freePorts();
    start(port, apiPort);
    await expect.poll(() => output, { timeout: 60_000 }).toContain(`http://localhost:${port}\n`);
    expect((await fetch(`http://localhost:${apiPort}/health/ready`)).status).toBe(200);
    expect(await status(port, "/")).toBe("200");
    demo.kill("SIGINT");
    expect(await ended()).toBe(0);
    await expect(fetch(`http://localhost:${apiPort}/health`)).rejects.toThrow();
  });

  test("says which port is taken, and leaves nothing", async ({ stack }) => {
    const [taken, apiTaken] = [stack.origin, stack.apiUrl].map((url) => Number(new URL(url).port)) as [number, number];
    const [free] = await freePorts();
    start(taken, free);
    expect(await ended()).toBe(1);
    expect(output).toMatch(new RegExp(`^Port ${taken} cannot be used .* PORT chooses another one\\.\n$`));
    start(free, apiTaken);
    expect(await ended()).toBe(1);
    expect(output).toContain(`port ${apiTaken}: Address already in use`);
  });
});
