import type { Page } from "@playwright/test";
import { expect, test } from "./fixtures.ts";

interface Measures {
  shifts: { value: number; moved: string[] }[];
  paint: number;
}

/** Record every layout shift, also those after input, and the largest contentful paint. */
async function measure(page: Page): Promise<() => Promise<Measures>> {
  await page.addInitScript(() => {
    const measures: Measures = { shifts: [], paint: 0 };
    Object.assign(globalThis, { measures });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean; sources: { node: Element | null }[] })[]) {
        if (!entry.hadRecentInput) {
          measures.shifts.push({ value: entry.value, moved: entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? "") });
        }
      }
    }).observe({ type: "layout-shift", buffered: true });
    new PerformanceObserver((list) => {
      measures.paint = list.getEntries().at(-1)!.startTime;
    }).observe({ type: "largest-contentful-paint", buffered: true });
  });
  return () => page.evaluate(() => (globalThis as unknown as { measures: Measures }).measures);
}

test("the page loads fast on a slow line, and nothing in it moves", async ({ ada, page }) => {
  await ada.import(200);
  const measures = await measure(page);
  const session = await page.context().newCDPSession(page);
  let received = 0;
  session.on("Network.loadingFinished", ({ encodedDataLength }) => {
    received += encodedDataLength;
  });
  await session.send("Network.enable");
  await session.send("Network.clearBrowserCache");
  // Lighthouse's "slow 4G".
  await session.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 150,
    downloadThroughput: (1.6 * 1024 * 1024) / 8,
    uploadThroughput: (750 * 1024) / 8,
  });
  await page.reload();
  await expect(ada.check("Task 0200")).toBeVisible();
  await expect(page.getByRole("link", { name: "All 200" })).toBeVisible();
  const { shifts, paint } = await measures();
  test.info().annotations.push({ type: "load", description: `largest contentful paint ${Math.round(paint)} ms, ${Math.round(received / 1024)} KiB` });
  console.log(`Load on slow 4G: largest contentful paint ${Math.round(paint)} ms, ${Math.round(received / 1024)} KiB received`);
  expect(shifts).toEqual([]);
  // What Lighthouse calls good.
  expect(paint).toBeLessThan(2_500);
  expect(received).toBeLessThan(220 * 1024);
});

test("5,000 tasks scroll smoothly to the end", async ({ ada, page }) => {
  test.slow();
  await ada.import(5_000);
  const measures = await measure(page);
  await page.reload();
  await expect(ada.check("Task 5000")).toBeVisible();
  // Time of the main thread, not of the clock: other processes take nothing from it.
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const busy = async () => (await session.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration")!.value * 1000;
  const before = await busy();
  const seen = await page.evaluate(async () => {
    const frame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
    const durations: number[] = [];
    let [blank, rows, last] = [0, 0, await frame()];
    while (!document.querySelector('[aria-posinset="5000"]')) {
      scrollBy(0, 800);
      const now = await frame();
      durations.push(now - last);
      last = now;
      rows = Math.max(rows, document.querySelectorAll(".task-place").length);
      const middle = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
      if (!middle?.closest(".task-place, .more")) blank += 1;
    }
    durations.sort((a, b) => a - b);
    return { blank, rows, frames: durations.length, median: durations[durations.length >> 1]!, p95: durations[Math.floor(durations.length * 0.95)]! };
  });
  const { median, p95, frames, rows } = seen;
  const work = ((await busy()) - before) / frames;
  console.log(
    `5,000 tasks: ${frames} frames, ${work.toFixed(1)} ms of the main thread each; ` +
      `median ${median.toFixed(1)} ms, 95 % below ${p95.toFixed(1)} ms; at most ${rows} rows in the document`,
  );
  expect(seen.blank, "frames without a task in the middle of the window").toBe(0);
  expect(rows).toBeLessThan(100);
  // A frame of a display with 60 Hz, although each of these shows other tasks than the one before.
  expect(work).toBeLessThan(16);
  expect((await measures()).shifts).toEqual([]);
  await ada.screenshot("end-of-5000");
  await page.evaluate(() => scrollTo(0, 0));
  await expect(ada.check("Task 5000")).toBeVisible();
  await ada.look("list-of-5000");
});

test("everything can be done with the keyboard", async ({ ada, page }) => {
  await ada.import(3);
  await page.reload();
  await expect(ada.titles).toHaveCount(3);
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const focused = page.locator(":focus");

  await press("Tab");
  await expect(focused).toHaveText("Skip to the tasks");
  await press("Enter", "Tab");
  await expect(focused).toHaveAccessibleName("Complete “Task 0003”");
  await press("Space");
  await expect(ada.check("Task 0003")).toBeChecked();
  await press("ArrowDown");
  await expect(focused).toHaveAccessibleName("Complete “Task 0002”");
  await press("Tab", "Enter");
  await expect(focused).toHaveAccessibleName("Title");
  await page.keyboard.type(", edited");
  await press("Enter");
  await expect(focused).toHaveAccessibleName("Edit “Task 0002, edited”");
  await press("Enter", "Escape");
  await expect(focused).toHaveAccessibleName("Edit “Task 0002, edited”");
  await press("Tab");
  await expect(focused).toHaveAccessibleName("Delete “Task 0002, edited”");
  await press("Enter");
  // The focus goes to the next task, not to the top of the page.
  await expect(focused).toHaveAccessibleName("Delete “Task 0001”");
  await expect(ada.titles).toHaveText(["Task 0003", "Task 0001"]);

  await page.getByLabel("More actions").focus();
  await press("Enter", "Tab", "Enter");
  const dialog = page.getByRole("dialog", { name: "Clear completed tasks?" });
  await expect(dialog).toBeVisible();
  await expect(focused).toHaveText("Cancel");
  await press("Escape");
  await expect(dialog).toHaveCount(0);
  await page.getByRole("link", { name: "Trash" }).focus();
  await press("Enter");
  await expect(page.getByRole("button", { name: "Restore “Task 0002, edited”" })).toBeVisible();
});

test("light and dark can be chosen, and stay chosen", async ({ ada, page }) => {
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.getByRole("button", { name: "Use dark colours" }).click();
  const dark = await background();
  expect(dark).not.toBe(light);
  await page.reload();
  await expect(ada.titleInput).toBeVisible();
  expect(await background()).toBe(dark);
});
