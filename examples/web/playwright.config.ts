import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { defineConfig } from "@playwright/test";

// The system's Chromium: Playwright's own would have to be downloaded.
const chromium = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, "chromium")).find(existsSync);
if (!chromium) throw new Error("The tests in a browser need Chromium (Debian's package chromium).");

export default defineConfig({
  testDir: "tests",
  outputDir: "../../build/web-test/failures",
  reporter: [["list"], ["html", { outputFolder: "../../build/web-test/report", open: "never" }]],
  forbidOnly: Boolean(process.env.CI),
  workers: 2,
  timeout: 120_000,
  expect: { timeout: 10_000 },
  use: {
    browserName: "chromium",
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "UTC",
    reducedMotion: "reduce",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: chromium,
      // Root may not use Chromium's sandbox. The pages are our own.
      args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
    },
  },
});
