/** Runs the tests in Node.js (`--project node`) or in Chromium (`--project chromium`) with what TASKS_STAGE describes. */

import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

import type { Stage } from "./stage.js";

const { browser, ...stage }: Stage & { browser: { port: number; program: string } } = JSON.parse(process.env["TASKS_STAGE"]!);

const shared = {
  include: ["*.test.ts"],
  provide: { stage },
  // A test waits for an answer to each request, and for the back-off after a fault.
  testTimeout: 20_000,
};

export default defineConfig({
  test: {
    projects: [
      { test: { ...shared, name: "node", pool: "threads" } },
      {
        optimizeDeps: { include: ["tasks-api-client", "tasks-api-client/operations"] },
        server: { fs: { strict: false } },
        test: {
          ...shared,
          name: "chromium",
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            api: { host: "localhost", port: browser.port, strictPort: true },
            provider: playwright({
              launchOptions: { executablePath: browser.program, args: ["--no-sandbox", "--disable-gpu"] },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
    ],
  },
});
