import type { Page, Route } from "@playwright/test";
import { expect, Person, test } from "./fixtures.ts";

/** A route that waits until it is released. */
function gate() {
  let release = () => {};
  const open = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { open, release };
}

const toast = (page: Page, text: string) => page.getByRole("status").filter({ hasText: text });

/** Scroll until the last task is loaded and shown. */
async function scrollTo(person: Person, last: string): Promise<void> {
  await expect(async () => {
    await person.page.keyboard.press("End");
    await expect(person.check(last)).toBeVisible({ timeout: 200 });
  }).toPass();
}

function failing(origin: string) {
  return (route: Route) =>
    route.fulfill({
      status: 500,
      headers: { "Content-Type": "application/problem+json", "Access-Control-Allow-Origin": origin },
      body: JSON.stringify({ type: "about:blank", title: "Internal error", status: 500, detail: "Something broke.", code: "internal-error" }),
    });
}

test("what a user has left unsent is never sent as another user", async ({ ada, bob, page, stack }) => {
  const { open, release } = gate();
  const authors: string[] = [];
  await page.route(`${stack.apiUrl}/api/tasks`, async (route) => {
    if (route.request().method() === "POST") authors.push(route.request().headers().authorization!);
    if (authors.length === 1) await open;
    await route.continue();
  });
  for (const title of ["Ada 1", "Ada 2"]) await ada.add(title);
  await expect(ada.drafts.getByRole("listitem")).toHaveCount(2);
  await ada.signOut();
  await new Person(page, stack, bob.email).signIn();
  await expect(page.getByRole("heading", { name: "Nothing to do" })).toBeVisible();
  release();
  await ada.add("Bob 1");
  await expect(ada.titles).toHaveText(["Bob 1"]);
  expect(await bob.stored()).toEqual(["Bob 1"]);

  await ada.signOut();
  await ada.signIn();
  await expect(ada.titles).toHaveText(["Ada 2", "Ada 1"]);
  await expect(ada.drafts).toHaveCount(0);
  expect(await ada.stored()).toEqual(["Ada 1", "Ada 2"]);
});

test("a page acts for its user only, whoever has signed in since", async ({ ada, bob, page, context, stack }) => {
  await ada.add("Ada 1");
  await expect(ada.titles).toHaveText(["Ada 1"]);
  // Bob's session replaces the one of Ada's browser unnoticed, and her token is refused.
  await context.clearCookies();
  await context.addCookies(await bob.page.context().cookies());
  stack.rotateKeys();
  await stack.stopService();
  await stack.startService();
  await ada.add("Ada 2");
  await expect(page.getByRole("heading", { name: "Nothing to do" })).toBeVisible();
  expect(await bob.stored()).toEqual([]);
});

test("messages to a user are not shown to the next one", async ({ ada, bob, page, stack }) => {
  const { open, release } = gate();
  await ada.add("A secret of Ada");
  await page.route(`${stack.apiUrl}/api/tasks/*`, async (route) => {
    if (route.request().method() === "DELETE") await open;
    await route.continue();
  });
  await page.getByRole("button", { name: "Delete “A secret of Ada”" }).click();
  await ada.signOut();
  const deleted = page.waitForResponse((response) => response.request().method() === "DELETE");
  await new Person(page, stack, bob.email).signIn();
  await expect(page.getByRole("heading", { name: "Nothing to do" })).toBeVisible();
  release();
  await deleted;
  await ada.add("Bob 1");
  await expect(ada.titles).toHaveText(["Bob 1"]);
  // At once: a message disappears by itself.
  expect(await page.getByText("A secret of Ada").count()).toBe(0);
});

test("quick changes of a task are sent in order, without conflicts", async ({ ada, page, stack }) => {
  await ada.add("Buy milk");
  await expect(ada.titles).toHaveText(["Buy milk"]);
  const { open, release } = gate();
  const changes: string[] = [];
  await page.route(`${stack.apiUrl}/api/tasks/*`, async (route) => {
    if (changes.push(`${route.request().method()} ${route.request().postData() ?? ""}`) === 1) await open;
    await route.continue();
  });
  for (let click = 1; click <= 5; click += 1) {
    await ada.check("Buy milk").click();
    await expect(ada.check("Buy milk")).toBeChecked({ checked: click % 2 === 1 });
  }
  await page.getByRole("button", { name: "Delete “Buy milk”" }).click();
  await expect(ada.titles).toHaveCount(0);
  expect(changes).toHaveLength(1);
  release();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(ada.check("Buy milk")).toBeChecked();
  const puts = [true, false, true, false, true].map((completed) => `PUT ${JSON.stringify({ completed })}`);
  expect(changes).toEqual([...puts, "DELETE "]);
  await page.getByRole("button", { name: "Delete “Buy milk”" }).click();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, "“Buy milk” is back.")).toBeVisible();
});

test("a task that is ticked and edited at once has no conflict", async ({ ada, page, stack }) => {
  await ada.add("Buy milk");
  const { open, release } = gate();
  let held = false;
  await page.route(`${stack.apiUrl}/api/tasks/*`, async (route) => {
    if (!held) {
      held = true;
      await open;
    }
    await route.continue();
  });
  await ada.check("Buy milk").click();
  await page.getByRole("button", { name: "Edit “Buy milk”" }).click();
  const title = page.getByRole("form", { name: "Edit “Buy milk”" }).getByLabel("Title");
  await title.fill("Buy oat milk");
  await title.press("Enter");
  release();
  await expect(ada.titles).toHaveText(["Buy oat milk"]);
  await expect(ada.check("Buy oat milk")).toBeChecked();
});

test("a list is never called empty while it cannot be loaded", async ({ ada, page, stack }) => {
  await ada.add("Buy milk");
  await page.context().route(`${stack.apiUrl}/**`, (route) => route.abort("connectionrefused"));
  await page.reload();
  await expect(page.locator(".banner")).toContainText("The service cannot be reached.");
  await expect(page.getByText("Loading the tasks")).toBeAttached();
  await expect(page.locator(".banner")).toContainText("Trying again in 4 s");
  await expect(page.getByRole("heading", { name: "Nothing to do" })).toHaveCount(0);
  await page.context().unroute(`${stack.apiUrl}/**`);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await expect(ada.titles).toHaveText(["Buy milk"]);
});

test("an error of the service is shown, and tried again by hand", async ({ ada, page, stack, tolerate }) => {
  tolerate("status of 500");
  await ada.import(300);
  let requests = 0;
  const fail = failing(stack.origin);
  await page.route(`${stack.apiUrl}/api/tasks?*`, (route) => {
    requests += 1;
    return fail(route);
  });
  await page.reload();
  await expect(page.getByRole("alert")).toContainText("The tasks could not be loaded");
  await ada.look("failed");
  expect(requests).toBe(1);
  await page.unroute(`${stack.apiUrl}/api/tasks?*`);

  await page.route(`${stack.apiUrl}/api/tasks?*cursor=*`, (route) => {
    requests += 1;
    return fail(route);
  });
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(ada.titles.first()).toHaveText("Task 0300");
  await page.keyboard.press("End");
  await expect(page.getByRole("alert")).toContainText("Something broke.");
  expect(requests).toBe(2);
  await page.unroute(`${stack.apiUrl}/api/tasks?*cursor=*`);
  await page.getByRole("button", { name: "Try again" }).click();
  await scrollTo(ada, "Task 0001");
});

test("a task that moves while the list is loaded is shown once", async ({ ada, page, stack }) => {
  await ada.import(300);
  const { open, release } = gate();
  await page.route(`${stack.apiUrl}/api/tasks?*cursor=*`, async (route) => {
    await open;
    await route.continue();
  });
  await page.goto(`${stack.origin}?sort=title`);
  await expect(ada.titles.first()).toHaveText("Task 0001");
  const [, second] = (await (await ada.api("GET", "/api/tasks?sort=title&limit=2")).json()) as { id: string }[];
  await ada.api("PUT", `/api/tasks/${second!.id}`, { title: "Zebra" });
  release();
  await scrollTo(ada, "Task 0300");
  await expect(ada.list.getByRole("listitem").last()).toHaveAttribute("aria-posinset", "300");
  await page.keyboard.press("Home");
  await expect(ada.titles.nth(1)).toHaveText("Zebra");
});

test("a gateway's error keeps a new task, and its date for a retry is obeyed", async ({ ada, page, stack, tolerate }) => {
  tolerate("status of 502");
  let refusals = 0;
  await page.context().route(`${stack.apiUrl}/**`, (route) => {
    if (++refusals > 4) return route.continue();
    const headers = {
      "Access-Control-Allow-Origin": stack.origin,
      "Access-Control-Expose-Headers": "Retry-After",
      "Content-Type": "text/html",
      "Retry-After": new Date(Date.now() + 3_000).toUTCString(),
    };
    return route.fulfill({ status: route.request().method() === "OPTIONS" ? 204 : 502, headers, body: "<h1>Bad Gateway</h1>" });
  });
  await ada.add("Buy milk");
  await expect(page.locator(".banner")).toContainText(/The service is not available just now. .* Trying again in [1-3] s/);
  await expect(ada.titles).toHaveText(["Buy milk"]);
  await expect(ada.drafts).toHaveCount(0);
});

for (const [what, script] of [
  ["blocked", 'Object.defineProperty(window, "localStorage", { get() { throw new DOMException("Denied.", "SecurityError"); } })'],
  ["full", 'Storage.prototype.setItem = () => { throw new DOMException("Full.", "QuotaExceededError"); }'],
  ["corrupt", 'for (const name of Object.keys(localStorage)) localStorage.setItem(name, "{")'],
] as const) {
  test(`the page works with a localStorage that is ${what}`, async ({ page, stack, context }) => {
    await page.addInitScript(script);
    const ada = await new Person(page, stack, `${what}-${process.pid}@example.com`).signUp();
    await ada.add("Buy milk");
    await expect(ada.titles).toHaveText(["Buy milk"]);
    await page.reload();
    await expect(ada.titles).toHaveText(["Buy milk"]);
    await page.getByRole("button", { name: "Use dark colours" }).click();
    await expect(page.getByRole("button", { name: "Use light colours" })).toBeVisible();
    await context.setOffline(true);
    await ada.add("Buy bread");
    await expect(ada.drafts.getByRole("listitem")).toHaveText(/Buy bread/);
    await context.setOffline(false);
    await expect(ada.titles).toHaveText(["Buy bread", "Buy milk"]);
  });
}

test("a sign-in or sign-out that fails says why", async ({ ada, page, context, stack }) => {
  await context.setOffline(true);
  await ada.signOut();
  await expect(toast(page, "You are still signed in: You are offline.")).toBeVisible();
  await context.setOffline(false);
  await ada.signOut();
  await page.getByLabel("Email").fill(ada.email);
  await page.getByLabel("Password").fill("correct horse");
  await context.setOffline(true);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "You are offline." })).toBeVisible();
  await context.setOffline(false);

  // A browser that keeps no cookies.
  await page.route(`${stack.origin}/api/auth/sign-in/email`, async (route) => {
    const request = route.request();
    const response = await fetch(request.url(), { method: "POST", headers: await request.allHeaders(), body: request.postData()! });
    await route.fulfill({ status: response.status, contentType: "application/json", body: await response.text() });
  });
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "Allow cookies for this page" })).toBeVisible();
  await expect(page.getByLabel("Email")).toHaveValue(ada.email);
});
