/** What people see and reach: any text, small windows, forced colours, the keyboard. */

import AxeBuilder from "@axe-core/playwright";
import { expect, Person, test } from "./fixtures.ts";

const TITLES = [
  "W".repeat(200),
  "قائمة المشتريات: حليب، خبز",
  "<script>document.title = 'run'</script><img src=x onerror=alert(1)>",
  "👩‍👩‍👧‍👦".repeat(18),
  "ordinary",
];

test("any title is shown as it is, and nothing overflows", async ({ ada, page }) => {
  await ada.api(
    "POST",
    "/api/tasks/import",
    TITLES.map((title, index) => ({ title, description: index % 2 ? null : "d".repeat(1000) })),
  );
  await page.reload();
  await expect(ada.titles).toHaveText(TITLES.toReversed());
  await page.setViewportSize({ width: 390, height: 844 });
  const { violations } = await new AxeBuilder({ page }).options({ rules: { "target-size": { enabled: true } } }).analyze();
  expect(violations).toEqual([]);
  const small = await page.locator("button:visible, a:visible, input:visible, select:visible, summary:visible").evaluateAll((controls) =>
    controls.flatMap((control) => {
      const { width, height } = control.getBoundingClientRect();
      return Math.min(width, height) < 24 ? control.outerHTML : [];
    }),
  );
  expect(small).toEqual([]);
  await ada.screenshot("long-titles");
  await expect(page).toHaveTitle("Tasks");
  expect(await ada.titles.nth(3).evaluate((title) => getComputedStyle(title).direction)).toBe("rtl");
  // 1280 pixels at 400 %, which WCAG 2.2 asks for (1.4.10).
  await page.setViewportSize({ width: 320, height: 256 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);

  await page.setViewportSize({ width: 320, height: 640 });
  await page.getByRole("button", { name: "Delete “WWW" }).click();
  const message = page.locator(".toast");
  await expect(message).toContainText("is in the trash.");
  expect((await message.boundingBox())!.height).toBeLessThan(160);

  await page.getByRole("button", { name: "Edit “ordinary”" }).click();
  const editor = page.getByRole("form", { name: "Edit “ordinary”" });
  const [task] = ((await (await ada.api("GET", "/api/tasks")).json()) as { id: string; title: string }[]).filter(({ title }) => title === "ordinary");
  await ada.api("PUT", `/api/tasks/${task!.id}`, { title: "T".repeat(200) });
  await editor.getByLabel("Title").fill("M".repeat(200));
  await editor.getByLabel("Title").press("Enter");
  const dialog = page.getByRole("dialog", { name: "This task was changed elsewhere" });
  await expect(dialog.getByRole("heading")).toBeInViewport({ ratio: 1 });
  for (const name of ["Go on editing", "Keep theirs", "Save mine"]) await expect(dialog.getByRole("button", { name })).toBeInViewport({ ratio: 1 });
  await expect(dialog.getByRole("button", { name: "Go on editing" })).toBeFocused();
  await ada.screenshot("conflict-long");
});

test("with forced colours, the focus and what is chosen are seen", async ({ ada, page }) => {
  await ada.import(6);
  await page.emulateMedia({ forcedColors: "active" });
  await page.reload();
  await expect(ada.titles).toHaveCount(6);
  const outline = (selector: string) => page.locator(selector).evaluate((element) => getComputedStyle(element).outlineStyle);
  expect(await outline(".tab[aria-current]")).toBe("solid");
  await ada.titleInput.focus();
  expect(await outline(".composer")).toBe("solid");
  const fill = (title: string) => ada.check(title).evaluate((check) => getComputedStyle(check).backgroundColor);
  expect(await fill("Task 0006")).not.toBe(await fill("Task 0005"));
  await ada.screenshot("forced-colours");
});

test("the focus is never lost", async ({ ada, page }) => {
  await ada.import(6);
  await page.goto(`${page.url().split("?")[0]}?status=pending`);
  const focused = page.locator(":focus");
  await ada.check("Task 0005").focus();
  await page.keyboard.press("Space");
  await expect(focused).toHaveAccessibleName("Complete “Task 0004”");

  await page.getByRole("button", { name: "Delete “Task 0003”" }).focus();
  await page.keyboard.press("Enter");
  await expect(focused).toHaveAccessibleName("Delete “Task 0002”");
  await page.getByRole("button", { name: "Undo" }).focus();
  await page.keyboard.press("Enter");
  await expect(focused).toHaveAccessibleName("Delete “Task 0002”");

  await page.getByLabel("More actions").focus();
  for (const key of ["Enter", "Tab", "Enter"]) await page.keyboard.press(key);
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(focused).toHaveAccessibleName("More actions");
  // The header and messages leave what has the focus in view.
  await ada.import(60);
  await page.reload();
  await expect(ada.titles.first()).toBeVisible();
  await ada.check("Task 0060").focus();
  for (let row = 0; row < 30; row += 1) await page.keyboard.press("ArrowDown");
  const visible = () => focused.evaluate((control) => {
    const { x, y, width, height } = control.getBoundingClientRect();
    return document.elementFromPoint(x + width / 2, y + height / 2) === control && innerHeight - y > 100;
  });
  expect(await visible()).toBe(true);
  for (let row = 0; row < 20; row += 1) await page.keyboard.press("ArrowUp");
  expect(await visible()).toBe(true);

  await page.getByLabel("Order").selectOption("Last changed");
  await ada.list.getByRole("checkbox").first().focus();
  for (let row = 0; row < 30; row += 1) await page.keyboard.press("ArrowDown");
  // A row that is saved goes to the top of this list, and keeps the focus.
  await page.keyboard.press("Tab");
  const name = await focused.getAttribute("aria-label");
  await page.keyboard.press("Enter");
  await page.keyboard.type(", edited");
  await page.keyboard.press("Enter");
  await expect(focused).toHaveAccessibleName(name!.replace("”", ", edited”"));
  await expect(page.locator('[aria-posinset="1"]:focus-within')).toBeAttached();
});

test("an edit is not lost unasked, and the colours follow the system", async ({ ada, page }) => {
  await ada.import(2);
  await page.reload();
  await page.getByRole("button", { name: "Edit “Task 0002”" }).click();
  await page.getByRole("form", { name: "Edit “Task 0002”" }).getByLabel("Title").fill("Half a thou");
  await ada.open("Done");
  await expect(page.getByRole("form", { name: "Edit “Task 0002”" })).toHaveCount(0);
  await page.goBack();
  await expect(page.getByRole("form", { name: "Edit “Task 0002”" }).getByLabel("Title")).toHaveValue("Half a thou");
  const questions: string[] = [];
  page.on("dialog", (question) => {
    questions.push(question.type());
    void question.dismiss();
  });
  await page.evaluate(() => void setTimeout(() => location.reload()));
  await expect.poll(() => questions).toEqual(["beforeunload"]);
  await expect(page.getByRole("form", { name: "Edit “Task 0002”" }).getByLabel("Title")).toHaveValue("Half a thou");
  await page.keyboard.press("Escape");

  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.emulateMedia({ colorScheme: "dark" });
  await expect(page.getByRole("button", { name: "Use light colours" })).toBeVisible();
  expect(await background()).not.toBe(light);
});

test("the editor of a task that is deleted elsewhere stays, and its text is not lost", async ({ ada, page, context, stack }) => {
  await ada.import(3);
  await page.reload();
  const form = page.getByRole("form", { name: "Edit “Task 0002”" });
  await page.getByRole("button", { name: "Edit “Task 0002”" }).click();
  await form.getByLabel("Title").fill("Half a thought");
  const other = new Person(await context.newPage(), stack, ada.email);
  await other.page.goto(stack.origin);
  await other.page.getByRole("button", { name: "Delete “Task 0002”" }).click();
  await expect(other.titles).toHaveCount(2);
  // When another tab adds a task, the lists are fetched again.
  await other.add("Task 0004");
  await expect(ada.titles).toHaveText(["Task 0004", "Task 0003", "Task 0001"]);
  await expect(form.getByLabel("Title")).toHaveValue("Half a thought");
  await form.getByLabel("Title").press("Enter");
  await expect(form.getByRole("alert").last()).toHaveText("Not saved: the task was deleted elsewhere.");
  await ada.look("deleted-elsewhere");
  await form.getByRole("button", { name: "Add as a new task" }).click();
  await expect(form).toHaveCount(0);
  await expect(page.getByRole("form", { name: "New task" }).getByLabel("Title")).toBeFocused();
  await expect(ada.titles).toHaveText(["Half a thought", "Task 0004", "Task 0003", "Task 0001"]);
  expect(await ada.stored()).toEqual(["Task 0001", "Task 0003", "Task 0004", "Half a thought"]);
});

test("an import shows that it is under way", async ({ ada, page, stack }) => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(`${stack.apiUrl}/api/tasks/import`, async (route) => {
    await held;
    await route.continue();
  });
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), ada.more("Import a file …")]);
  await chooser.setFiles({ name: "tasks.csv", mimeType: "text/csv", buffer: Buffer.from("title\nBuy milk\n") });
  await expect(page.getByText("Importing “tasks.csv” …")).toBeVisible();
  release();
  await expect(page.getByText("1 task imported.")).toBeVisible();
});
