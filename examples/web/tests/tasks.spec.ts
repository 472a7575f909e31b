import { readFile } from "node:fs/promises";
import { expect, test } from "./fixtures.ts";

test("a task is added, edited in place, completed, and deleted with undo", async ({ ada, page }) => {
  await ada.look("empty");
  await ada.add("Buy milk", "Oat, if there is any");
  await expect(ada.titles).toHaveText(["Buy milk"]);
  await expect(ada.titleInput).toBeFocused();

  await page.getByRole("button", { name: "Edit “Buy milk”" }).click();
  const editor = page.getByRole("form", { name: "Edit “Buy milk”" });
  await editor.getByLabel("Title").fill("Buy oat milk");
  await editor.getByLabel("Title").press("Enter");
  await expect(ada.titles).toHaveText(["Buy oat milk"]);
  await expect(page.getByRole("button", { name: "Edit “Buy oat milk”" })).toBeFocused();

  await ada.check("Buy oat milk").click();
  await expect(ada.check("Buy oat milk")).toBeChecked();
  await page.reload();
  await expect(ada.check("Buy oat milk")).toBeChecked();

  await page.getByRole("button", { name: "Delete “Buy oat milk”" }).click();
  await expect(page.getByRole("status").filter({ hasText: "is in the trash" })).toBeVisible();
  // The message stays as long as the focus is in it.
  await page.getByRole("button", { name: "Undo" }).focus();
  await ada.look("undo");
  await page.keyboard.press("Enter");
  await expect(ada.titles).toHaveText(["Buy oat milk"]);
  expect(await ada.stored()).toEqual(["Buy oat milk"]);
});

test("completing shows at once, and is undone if the service refuses", async ({ ada, page, stack }) => {
  await ada.add("Buy milk");
  await expect(ada.titles).toHaveText(["Buy milk"]);
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(`${stack.apiUrl}/api/tasks/*`, async (route) => {
    if (route.request().method() === "PUT") await held;
    await route.continue();
  });
  await ada.check("Buy milk").click();
  await expect(ada.check("Buy milk")).toBeChecked();
  // Deleted in another place before the request arrives.
  await ada.api("DELETE", "/api/tasks?status=completed");
  const [task] = (await (await ada.api("GET", "/api/tasks")).json()) as [{ id: string }];
  await ada.api("PUT", `/api/tasks/${task.id}`, { title: "Buy bread" });
  release();
  await expect(ada.titles).toHaveText(["Buy bread"]);
  await expect(ada.check("Buy bread")).not.toBeChecked();
  await expect(page.getByRole("status").filter({ hasText: "was changed elsewhere" })).toBeVisible();
});

test("lists are filtered and sorted, also through the address", async ({ ada, page }) => {
  for (const title of ["Pears", "Apples", "Oranges"]) await ada.add(title);
  await expect(ada.titles).toHaveText(["Oranges", "Apples", "Pears"]);
  await ada.check("Apples").click();
  await ada.open("Active");
  await expect(ada.titles).toHaveText(["Oranges", "Pears"]);
  await ada.check("Pears").click();
  await expect(ada.titles).toHaveText(["Oranges"]);
  await ada.open("Done");
  await expect(ada.titles).toHaveText(["Apples", "Pears"]);
  await page.getByLabel("Order").selectOption("Title Z–A");
  await expect(ada.titles).toHaveText(["Pears", "Apples"]);
  await page.reload();
  await expect(ada.titles).toHaveText(["Pears", "Apples"]);
  await page.goBack();
  await expect(ada.titles).toHaveText(["Apples", "Pears"]);
  await expect(page.getByRole("link", { name: "Done 2" })).toHaveAttribute("aria-current", "page");
  await ada.open("All");
  await expect(ada.titles).toHaveText(["Oranges", "Apples", "Pears"]);
});

test("completed tasks are cleared into the trash, restored, and deleted permanently", async ({ ada, page }) => {
  await ada.import(6);
  await page.reload();
  await page.getByLabel("More actions").click();
  await page.getByRole("button", { name: "Clear completed …" }).click();
  await page.getByRole("button", { name: "Move to trash" }).click();
  await expect(page.getByText("2 tasks moved to the trash.")).toBeVisible();
  await expect(ada.titles).toHaveText(["Task 0005", "Task 0004", "Task 0003", "Task 0002"]);

  await ada.open("Trash");
  const trash = page.getByRole("list", { name: "Tasks in the trash" });
  await expect(trash.getByRole("listitem")).toHaveCount(2);
  await page.getByRole("button", { name: "Restore “Task 0006”" }).click();
  await expect(trash.getByRole("listitem")).toHaveCount(1);
  await page.getByRole("button", { name: "Delete “Task 0001” permanently" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete permanently" }).click();
  await expect(page.getByRole("heading", { name: "The trash is empty" })).toBeVisible();
  await ada.look("trash-empty");

  await ada.open("All");
  await expect(ada.titles).toHaveCount(5);
  await page.getByRole("button", { name: "Delete “Task 0006”" }).click();
  await ada.open("Trash");
  await expect(trash.getByRole("listitem")).toHaveCount(1);
  await ada.more("Empty trash …");
  await page.getByRole("dialog").getByRole("button", { name: "Delete permanently" }).click();
  await expect(page.getByRole("heading", { name: "The trash is empty" })).toBeVisible();
});

test("errors of the problem document stand at their fields", async ({ ada, page }) => {
  await ada.add("x".repeat(201), "y".repeat(1001));
  await expect(ada.titleInput).toHaveAccessibleDescription("Must be at most 200 characters long.");
  await expect(ada.composer.getByLabel("Description")).toHaveAccessibleDescription("Must be at most 1000 characters long.");
  await expect(ada.titleInput).toBeFocused();
  await ada.titleInput.fill("Buy milk");
  await ada.composer.getByLabel("Description").fill("");
  await ada.titleInput.press("Enter");
  await expect(ada.titles).toHaveText(["Buy milk"]);

  await page.getByRole("button", { name: "Edit “Buy milk”" }).click();
  const title = page.getByRole("form", { name: "Edit “Buy milk”" }).getByLabel("Title");
  await title.fill("");
  await title.press("Enter");
  await expect(title).toHaveAccessibleDescription(/^Must /);
  await title.press("Escape");
  await expect(ada.titles).toHaveText(["Buy milk"]);
});

for (const format of ["JSON", "NDJSON", "CSV"]) {
  test(`tasks are exported as ${format}, and imported again`, async ({ ada, page }) => {
    await ada.import(3);
    await page.reload();
    await expect(ada.titles).toHaveCount(3);
    const [download] = await Promise.all([page.waitForEvent("download"), ada.more(`Export as ${format}`)]);
    expect(download.suggestedFilename()).toBe(`tasks.${format.toLowerCase()}`);
    const name = download.suggestedFilename();
    const buffer = await readFile(await download.path());
    await ada.api("DELETE", "/api/me");

    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), ada.more("Import a file …")]);
    await chooser.setFiles({ name, mimeType: "", buffer });
    await expect(page.getByText("3 tasks imported.")).toBeVisible();
    await expect(ada.titles).toHaveText(["Task 0003", "Task 0002", "Task 0001"]);
  });
}

test("a file with errors is explained, record by record", async ({ ada, page }) => {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), ada.more("Import a file …")]);
  await chooser.setFiles({ name: "tasks.csv", mimeType: "text/csv", buffer: Buffer.from("title,completed\nBuy milk,false\n,true\nx,maybe\n") });
  const dialog = page.getByRole("dialog", { name: "Nothing was imported" });
  await expect(dialog.getByRole("listitem")).toHaveCount(2);
  await expect(dialog.getByRole("listitem").first()).toContainText("Line 3");
  await dialog.getByRole("button", { name: "Close" }).click();
  expect(await ada.stored()).toEqual([]);
});
