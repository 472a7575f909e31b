import { expect, Person, test } from "./fixtures.ts";

test("a person signs up, out and in", async ({ page, stack }) => {
  const ada = new Person(page, stack, "ada.lovelace@example.com");
  await page.goto(stack.origin);
  await expect(page.getByRole("heading", { name: "Welcome back" })).toBeVisible();
  await ada.look("sign-in");
  await ada.signUp();
  await ada.add("Buy milk");
  await expect(ada.titles).toHaveText(["Buy milk"]);

  await page.getByLabel("Account of Ada Lovelace").click();
  await ada.look("account");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Email").fill(ada.email);
  await page.getByLabel("Password").fill("wrong horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "Invalid email or password" })).toBeVisible();
  await ada.look("sign-in-refused");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(ada.titles).toHaveText(["Buy milk"]);
});

test("errors of the sign-up stand at their fields", async ({ page, stack }) => {
  await page.goto(stack.origin);
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByRole("button", { name: "Sign up" }).click();
  await expect(page.getByLabel("Name")).toBeFocused();
  for (const [field, error] of [["Name", "Enter your name."], ["Email", "Enter your email address."], ["Password", "Enter your password."]] as const) {
    await expect(page.getByLabel(field)).toHaveAccessibleDescription(error);
  }
  await page.getByLabel("Name").fill("Ada");
  await page.getByLabel("Email").fill("short");
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Sign up" }).click();
  await expect(page.getByLabel("Email")).toHaveAccessibleDescription("Invalid email address");
  await page.getByLabel("Email").fill("short@example.com");
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Sign up" }).click();
  await expect(page.getByLabel("Password")).toHaveAccessibleDescription("Password too short");
  await new Person(page, stack, "").look("sign-up-refused");
});

test("two users never see each other's tasks", async ({ ada, bob }) => {
  await ada.add("A secret of Ada");
  await bob.add("A secret of Bob");
  await expect(ada.titles).toHaveText(["A secret of Ada"]);
  await expect(bob.titles).toHaveText(["A secret of Bob"]);
  for (const person of [ada, bob]) {
    await person.page.reload();
    await expect(person.titles).toHaveCount(1);
  }

  // The same browser, the next person: neither the cache nor the token of the one before is left.
  await ada.page.getByLabel("Account of Ada Lovelace").click();
  await ada.page.getByRole("button", { name: "Sign out" }).click();
  await ada.page.getByLabel("Email").fill(bob.email);
  await ada.page.getByLabel("Password").fill("correct horse");
  await ada.page.getByRole("button", { name: "Sign in" }).click();
  await expect(ada.titles).toHaveText(["A secret of Bob"]);
  await expect(ada.page.getByText("A secret of Ada")).toHaveCount(0);
});

test("a session that ends during use leads to the sign-in, and loses nothing", async ({ ada, page, context, stack }) => {
  await ada.add("Before");
  await expect(ada.titles).toHaveText(["Before"]);
  // Without its cookie the page gets no further token, and the restarted service refuses the one that it has.
  await context.clearCookies();
  stack.rotateKeys();
  await stack.stopService();
  await stack.startService();
  await ada.add("During");
  await page.getByLabel("Email").fill(ada.email);
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(ada.titles).toHaveText(["During", "Before"]);
  await expect(ada.drafts).toHaveCount(0);
  expect(await ada.stored()).toEqual(["Before", "During"]);
});
