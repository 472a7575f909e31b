/** What the page looks like with each kind of answer. `make mock` gives it: no service and no database are needed. */

import type { Page } from "@playwright/test";
import { expect, testOf } from "./fixtures.ts";
import { Mock } from "./mock.ts";

const test = testOf(Mock.start);

/** Ask the mock for the answer with this status to each request of the page, or to those with this method. */
async function answer(page: Page, apiUrl: string, status: number, method?: string): Promise<void> {
  await page.route(`${apiUrl}/**`, async (route) => {
    const request = route.request();
    const meant = !method || request.method() === method;
    await route.continue(meant ? { headers: { ...request.headers(), prefer: `code=${status}` } } : {});
  });
}

test("the list and the trash, their menu and their dialogues", async ({ ada, page }) => {
  await expect(ada.titles).toHaveText(["Buy groceries", "Call the dentist"]);
  await ada.look("list");
  await page.getByLabel("More actions").click();
  await ada.look("menu");
  await page.getByRole("button", { name: "Clear completed …" }).click();
  await ada.look("clear-completed");
  await page.getByRole("button", { name: "Cancel" }).click();
  await ada.open("Trash");
  await expect(page.getByRole("list", { name: "Tasks in the trash" }).getByRole("listitem")).toHaveCount(2);
  await ada.look("trash");
  await page.getByRole("button", { name: "Delete “Buy groceries” permanently" }).click();
  await ada.look("delete-permanently");
});

test("an editor, and errors at its fields", async ({ ada, page, stack }) => {
  await page.getByRole("button", { name: "Edit “Buy groceries”" }).click();
  const title = page.getByRole("form", { name: "Edit “Buy groceries”" }).getByLabel("Title");
  await title.fill("");
  await ada.look("editor");
  await answer(page, stack.apiUrl, 422, "PUT");
  await title.press("Enter");
  await expect(title).toHaveAccessibleDescription("Must contain more than white space and no NUL character.");
  await ada.look("editor-refused");
});

test("a conflict", async ({ ada, page, stack }) => {
  await page.getByRole("button", { name: "Edit “Call the dentist”" }).click();
  const title = page.getByRole("form", { name: "Edit “Call the dentist”" }).getByLabel("Title");
  await title.fill("Call the dentist before noon");
  await answer(page, stack.apiUrl, 412, "PUT");
  await title.press("Enter");
  await expect(page.getByRole("dialog", { name: "This task was changed elsewhere" })).toBeVisible();
  await ada.look("conflict");
});

test("a refused task, and a refused file", async ({ ada, page, stack }) => {
  await answer(page, stack.apiUrl, 422, "POST");
  await ada.add("Anything", "At all");
  await expect(ada.titleInput).toHaveAccessibleDescription("Must contain more than white space and no NUL character.");
  await ada.look("refused");
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), ada.more("Import a file …")]);
  await chooser.setFiles({ name: "tasks.csv", mimeType: "text/csv", buffer: Buffer.from("title\nBuy milk\n") });
  await expect(page.getByRole("dialog", { name: "Nothing was imported" })).toBeVisible();
  await ada.look("import-refused");
});

for (const [status, name, text] of [
  [429, "limited", "You are going a little fast for the service."],
  [503, "unavailable", "The service is not available just now."],
] as const) {
  test(`a service that answers ${status}`, async ({ ada, page, stack }) => {
    await answer(page, stack.apiUrl, status);
    await ada.add("Buy milk", "Oat");
    await expect(page.locator(".banner")).toContainText(text);
    await expect(ada.drafts.getByRole("listitem")).toHaveCount(1);
    await ada.look(name);
    await expect(page.locator(".banner")).toContainText(text);
  });
}
