import type { Page } from "@playwright/test";
import { expect, Person, test } from "./fixtures.ts";

test.afterEach(({ stack }) => {
  stack.tokenSeconds = 900;
});

const banner = (page: Page) => page.locator(".banner");

test("two tabs edit the same task: the second one is asked which version to keep", async ({ ada, page, context, stack }) => {
  await ada.add("Buy milk", "Oat");
  await expect(ada.titles).toHaveText(["Buy milk"]);
  const other = new Person(await context.newPage(), stack, ada.email);
  await other.page.goto(stack.origin);

  async function editBoth(title: string, mine: string, theirs: string) {
    await page.getByRole("button", { name: `Edit “${title}”` }).click();
    await page.getByRole("form", { name: `Edit “${title}”` }).getByLabel("Title").fill(mine);
    await other.page.getByRole("button", { name: `Edit “${title}”` }).click();
    const form = other.page.getByRole("form", { name: `Edit “${title}”` });
    await form.getByLabel("Title").fill(theirs);
    await form.getByLabel("Title").press("Enter");
    await expect(other.titles).toHaveText([theirs]);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByRole("dialog", { name: "This task was changed elsewhere" })).toBeVisible();
  }

  await editBoth("Buy milk", "Buy oat milk", "Buy soy milk");
  expect(await ada.stored()).toEqual(["Buy soy milk"]);
  await page.getByRole("button", { name: "Save mine" }).click();
  await expect(ada.titles).toHaveText(["Buy oat milk"]);
  expect(await ada.stored()).toEqual(["Buy oat milk"]);

  await other.page.reload();
  await editBoth("Buy oat milk", "Buy rice milk", "Buy water");
  await page.getByRole("button", { name: "Go on editing" }).click();
  await expect(page.getByRole("form", { name: "Edit “Buy oat milk”" }).getByLabel("Title")).toHaveValue("Buy rice milk");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Keep theirs" }).click();
  await expect(ada.titles).toHaveText(["Buy water"]);
  expect(await ada.stored()).toEqual(["Buy water"]);
});

test("tasks that are added offline are kept, and sent once", async ({ ada, page, context, stack }) => {
  await ada.add("Before");
  await expect(ada.titles).toHaveText(["Before"]);
  const other = new Person(await context.newPage(), stack, ada.email);
  await other.page.goto(stack.origin);
  await expect(other.titles).toHaveText(["Before"]);
  await context.setOffline(true);
  await ada.add("Buy milk");
  await ada.add("Buy bread");
  await expect(banner(page)).toContainText("You are offline. 2 new tasks are kept here and will be sent.");
  await expect(ada.drafts.getByRole("listitem")).toHaveCount(2);
  // The tab without the change shows it too: they share one queue.
  await expect(other.drafts.getByRole("listitem")).toHaveCount(2);
  await ada.look("offline");

  // The first request is carried out, but its response is lost, and so are the client's two repetitions: when the page
  // tries again, only the key that it has kept prevents a second task.
  const keys: string[] = [];
  await context.route(`${stack.apiUrl}/api/tasks`, async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    keys.push(route.request().headers()["idempotency-key"]!);
    if (keys.length > 3) return route.continue();
    if (keys.length === 1) await route.fetch();
    return route.abort("connectionreset");
  });
  await context.setOffline(false);
  await expect(ada.drafts).toHaveCount(0);
  await expect(banner(page)).toHaveCount(0);
  await expect(ada.titles).toHaveText(["Buy bread", "Buy milk", "Before"]);
  expect(await ada.stored()).toEqual(["Before", "Buy milk", "Buy bread"]);
  const [milk, bread] = [keys[0]!, keys[4]!];
  expect(keys).toEqual([milk, milk, milk, milk, bread]);
  expect(bread).not.toBe(milk);
});

test("a token that expires during use is replaced unnoticed", async ({ ada, page, stack }) => {
  // The service accepts a token for 30 seconds after its expiry, so these are good for two seconds.
  stack.tokenSeconds = -28;
  const expired: string[] = [];
  page.on("response", async (response) => {
    if (response.status() === 401) expired.push(((await response.json()) as { code: string }).code);
  });
  await page.reload();
  await expect(page.getByRole("heading", { name: "Nothing to do" })).toBeVisible();
  let added = 0;
  while (expired.length === 0) {
    added += 1;
    await ada.add(`Task ${added}`);
    await expect(ada.titles.first()).toHaveText(`Task ${added}`);
  }
  expect(new Set(expired)).toEqual(new Set(["token-expired"]));
  expect(await ada.stored()).toHaveLength(added);
  await expect(banner(page)).toHaveCount(0);
});

test("a key rotation at the issuer during use goes unnoticed", async ({ ada, bob, page, stack }) => {
  const keys: string[] = [];
  page.on("request", (request) => {
    const token = request.headers().authorization?.split(".")[0]?.replace("Bearer ", "");
    if (token) keys.push((JSON.parse(Buffer.from(token, "base64url").toString()) as { kid: string }).kid);
  });
  await ada.add("With the old key");
  await expect(ada.titles).toHaveText(["With the old key"]);

  // Bob's new token makes the service fetch the keys again, and Ada's old one is among them no more.
  const old = stack.rotateKeys();
  await bob.page.reload();
  await bob.add("With the new key");
  await expect(bob.titles).toHaveText(["With the new key"]);
  // The restart makes the service forget that it has verified Ada's token before.
  await stack.stopService();
  await stack.startService();
  await ada.add("With the new key");
  await expect(ada.titles).toHaveText(["With the new key", "With the old key"]);
  expect(old).toContain(keys[0]);
  expect(old).not.toContain(keys.at(-1));
});

test("a restart of the service during use loses nothing", async ({ ada, page, stack }) => {
  await ada.add("Before");
  await expect(ada.titles).toHaveText(["Before"]);
  await stack.stopService();

  await ada.check("Before").click();
  await expect(page.getByRole("status").filter({ hasText: "“Before” is as before: The service cannot be reached." })).toBeVisible();
  await expect(ada.check("Before")).not.toBeChecked();
  await ada.add("During");
  await expect(ada.drafts.getByRole("listitem")).toHaveCount(1);
  await expect(banner(page)).toContainText("The service cannot be reached. 1 new task is kept here and will be sent.");
  await ada.look("unreachable");
  // Not even the end of the tab loses it.
  await page.reload();
  await expect(ada.drafts.getByRole("listitem")).toHaveCount(1);

  await stack.startService();
  await expect(ada.titles).toHaveText(["During", "Before"]);
  await expect(ada.drafts).toHaveCount(0);
  await expect(banner(page)).toHaveCount(0);
  expect(await ada.stored()).toEqual(["Before", "During"]);
});

test("the database goes away and comes back", async ({ ada, page, stack }) => {
  await ada.add("Before");
  await expect(ada.titles).toHaveText(["Before"]);
  await stack.stopDatabase();
  try {
    await ada.add("During");
    await expect(banner(page)).toContainText("The service is not available just now.");
    await expect(ada.drafts.getByRole("listitem")).toHaveCount(1);
    await page.getByRole("button", { name: "Edit “Before”" }).click();
    const editor = page.getByRole("form", { name: "Edit “Before”" });
    await editor.getByLabel("Title").fill("Before and after");
    await editor.getByLabel("Title").press("Enter");
    await expect(editor.getByRole("alert")).toContainText("Not saved:");
  } finally {
    await stack.startDatabase();
  }
  await expect(ada.titles.first()).toHaveText("During");
  await expect(banner(page)).toHaveCount(0);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(ada.titles).toHaveText(["During", "Before and after"]);
  expect(await ada.stored()).toEqual(["Before and after", "During"]);
});

test("too many requests are explained with a countdown, and made later", async ({ ada, page, stack }) => {
  await stack.stopService();
  await stack.startService({ RATE_LIMIT: "8/3 second" });
  try {
    await page.reload();
    for (let task = 1; task <= 9; task += 1) await ada.add(`Task ${task}`);
    await expect(banner(page)).toContainText(/You are going a little fast for the service.*Trying again in [1-4] s/);
    await expect(ada.drafts).toHaveCount(0, { timeout: 30_000 });
    await expect(banner(page)).toHaveCount(0);
    await expect(ada.titles.first()).toHaveText("Task 9");
  } finally {
    await stack.stopService();
    await stack.startService();
  }
  expect(await ada.stored()).toEqual(Array.from({ length: 9 }, (_, index) => `Task ${index + 1}`));
});
