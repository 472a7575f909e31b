import AxeBuilder from "@axe-core/playwright";
import { test as base, type BrowserContext, expect, type Page } from "@playwright/test";
import { Stack } from "./stack.ts";

export { expect };

const WIDE = { width: 1280, height: 800 };
const LOOKS = (["light", "dark"] as const).flatMap((scheme) =>
  [{ width: 390, height: 844 }, WIDE].map((viewport) => [scheme, viewport] as const),
);
const SCREENSHOTS = new URL("../../../build/web-test/screenshots/", import.meta.url).pathname;

/** What a browser itself logs about a request that was refused, or that got no response. */
const REFUSED = /^Failed to load resource: (the server responded with a status of (401|404|412|422|429|503)|net::ERR_(CONNECTION_REFUSED|INTERNET_DISCONNECTED|CONNECTION_RESET|EMPTY_RESPONSE))/;

/** Where a page runs, and which service it uses. */
export interface Site {
  readonly origin: string;
  readonly apiUrl: string;
}

export class Person {
  constructor(
    readonly page: Page,
    readonly stack: Site,
    readonly email: string,
  ) {}

  async signUp(): Promise<this> {
    await this.page.goto(this.stack.origin);
    await this.page.getByRole("button", { name: "Create an account" }).click();
    await this.page.getByLabel("Name").fill("Ada Lovelace");
    await this.page.getByLabel("Email").fill(this.email);
    await this.page.getByLabel("Password").fill("correct horse");
    await this.page.getByRole("button", { name: "Sign up" }).click();
    await expect(this.page.getByRole("heading", { name: "Nothing to do" }).or(this.titles.first())).toBeVisible();
    return this;
  }

  async signIn(): Promise<void> {
    await this.page.getByLabel("Email").fill(this.email);
    await this.page.getByLabel("Password").fill("correct horse");
    await this.page.getByRole("button", { name: "Sign in" }).click();
  }

  async signOut(): Promise<void> {
    await this.page.getByLabel("Account of Ada Lovelace").click();
    await this.page.getByRole("button", { name: "Sign out" }).click();
  }

  async add(title: string, description = ""): Promise<void> {
    await this.titleInput.fill(title);
    if (description) await this.composer.getByLabel("Description").fill(description);
    await this.titleInput.press("Enter");
  }

  get composer() {
    return this.page.getByRole("form", { name: "New task" });
  }

  get titleInput() {
    return this.composer.getByLabel("Title");
  }

  get list() {
    return this.page.getByRole("list", { name: "Tasks", exact: true });
  }

  get drafts() {
    return this.page.getByRole("list", { name: "New tasks that are not saved yet" });
  }

  get titles() {
    return this.list.getByRole("listitem").locator(".task-title");
  }

  check(title: string) {
    return this.page.getByRole("checkbox", { name: `Complete “${title}”` });
  }

  open(list: "All" | "Active" | "Done" | "Trash") {
    return this.page.getByRole("navigation", { name: "Lists" }).getByRole("link", { name: list }).click();
  }

  async more(item: string): Promise<void> {
    await this.page.getByLabel("More actions").click();
    await this.page.getByRole("button", { name: item }).click();
  }

  /** Keep what the page looks like, for people to look at. */
  async screenshot(name: string): Promise<void> {
    await this.page.screenshot({ path: `${SCREENSHOTS}${name}.png` });
  }

  /**
   * Check this state of the page with axe, light and dark, in a narrow window and in a wide one, and keep a screenshot of
   * each for people to look at.
   */
  async look(name: string): Promise<void> {
    for (const [colorScheme, viewport] of LOOKS) {
      await this.page.emulateMedia({ colorScheme });
      await this.page.setViewportSize(viewport);
      const { violations } = await new AxeBuilder({ page: this.page }).analyze();
      const found = violations.map(({ id, nodes }) => `${name} (${colorScheme}): ${id}: ${nodes.map((node) => node.html).join("\n")}`);
      expect.soft(found).toEqual([]);
      const width = await this.page.evaluate(() => document.documentElement.scrollWidth);
      expect.soft(width, `${name}: nothing is wider than the window`).toBeLessThanOrEqual(viewport.width);
      await this.page.screenshot({ path: `${SCREENSHOTS}${name}-${colorScheme}-${viewport.width}.png` });
    }
    await this.page.emulateMedia({ colorScheme: "light" });
    await this.page.setViewportSize(WIDE);
  }

  /** Call the service as this user, beside the page. */
  async api(method: string, path: string, body?: unknown): Promise<Response> {
    const { token } = (await (await this.page.request.get(`${this.stack.origin}/api/auth/token`)).json()) as { token: string };
    const response = await fetch(`${this.stack.apiUrl}${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body !== undefined && { "Content-Type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    expect(response.ok, `${method} ${path}: ${response.status}`).toBe(true);
    return response;
  }

  async stored(): Promise<string[]> {
    const tasks = (await (await this.api("GET", "/api/tasks")).json()) as { title: string }[];
    return tasks.map((task) => task.title);
  }

  /** Give the user `count` tasks, the newest of which is the last. */
  async import(count: number): Promise<void> {
    const start = Date.UTC(2026, 0, 1);
    const tasks = Array.from({ length: count }, (_, index) => ({
      title: `Task ${String(index + 1).padStart(4, "0")}`,
      completed: index % 5 === 0,
      ...(index % 7 === 0 && { description: "With a description that takes a line of its own below the title." }),
      created_at: new Date(start + index * 60_000).toISOString(),
    }));
    await this.api("POST", "/api/tasks/import", tasks);
  }
}

let people = 0;

/** Fail at the end of the test if the page logged an error or spoke to another host. */
function watch(context: BrowserContext, stack: Site, complaints: string[], tolerated: readonly string[] = []): void {
  const allowed = [stack.origin, stack.apiUrl].map((url) => new URL(url).origin);
  context.on("console", (message) => {
    const text = message.text();
    // Better Auth refuses a sign-up with 400, which from the service would be a defect of the page.
    const signUp = text.includes("status of 400") && message.location().url.endsWith("/sign-up/email");
    const refused = message.type() === "error" && (signUp || REFUSED.test(text) || tolerated.some((one) => text.includes(one)));
    if (["error", "warning"].includes(message.type()) && !refused) complaints.push(`${message.type()}: ${text}`);
  });
  context.on("weberror", (error) => complaints.push(`exception: ${error.error().stack}`));
  context.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "blob:" && protocol !== "data:" && !allowed.includes(origin)) complaints.push(`request to ${request.url()}`);
  });
}

interface Fixtures {
  /** A person in a browser of their own, who has just signed up. */
  ada: Person;
  bob: Person;
  /** What the console may say in this test. */
  tolerated: string[];
  tolerate: (text: string) => void;
}

/** Tests with a site that each worker starts. */
export const testOf = <Started extends Site & { end(): Promise<void> }>(start: () => Promise<Started>) =>
  base.extend<Fixtures, { stack: Started }>({
    stack: [
      async ({}, use) => {
        const stack = await start();
        await use(stack);
        await stack.end();
      },
      { scope: "worker", timeout: 60_000 },
    ],
    tolerated: async ({}, use) => use([]),
    tolerate: async ({ tolerated }, use) => use((text) => void tolerated.push(text)),
    context: async ({ context, stack, tolerated }, use) => {
      const complaints: string[] = [];
      watch(context, stack, complaints, tolerated);
      await use(context);
      expect(complaints).toEqual([]);
    },
    ada: async ({ page, stack }, use) => {
      await use(await new Person(page, stack, `ada-${process.pid}-${++people}@example.com`).signUp());
    },
    bob: async ({ browser, stack }, use) => {
      const complaints: string[] = [];
      const context = await browser.newContext();
      watch(context, stack, complaints);
      await use(await new Person(await context.newPage(), stack, `bob-${process.pid}-${++people}@example.com`).signUp());
      await context.close();
      expect(complaints).toEqual([]);
    },
  });

export const test = testOf(Stack.start);
