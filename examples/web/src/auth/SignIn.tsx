import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { Field } from "../ui/Field";
import { Logo } from "../ui/icons";
import { ThemeButton } from "../ui/theme";
import { authClient, failureOf } from "./client";

type Mode = "in" | "up";
type FieldName = "name" | "email" | "password";
type Problems = Partial<Record<FieldName | "form", string>>;

const MISSING: Record<FieldName, string> = {
  name: "Enter your name.",
  email: "Enter your email address.",
  password: "Enter your password.",
};

/** Better Auth's code of an error names the field that it is about. */
function fieldOf(code: string | undefined): "email" | "password" | null {
  if (code?.includes("EMAIL_OR_PASSWORD")) return null;
  if (code?.includes("PASSWORD")) return "password";
  return code?.includes("EMAIL") || code?.includes("USER") ? "email" : null;
}

function problemsOf({ code, message }: { code: string | undefined; message: string }): Problems {
  // Violations come in one text, such as "[body.email] Invalid email address; [body.password] ...".
  const violations = [...message.matchAll(/\[body\.(\w+)\] ([^;]+)/g)].map(([, field, text]) => [field, text] as const);
  return violations.length > 0 ? Object.fromEntries(violations) : { [fieldOf(code) ?? "form"]: message };
}

const NO_COOKIE = "Your browser has not kept the session. Allow cookies for this page, and try again.";

export function SignIn() {
  const [mode, setMode] = useState<Mode>("in");
  const [problems, setProblems] = useState<Problems>({});
  const [busy, setBusy] = useState(false);
  const heading = useId();
  const element = useRef<HTMLFormElement>(null);
  useEffect(() => element.current!.querySelector<HTMLElement>("[aria-invalid=true]")?.focus(), [problems]);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (field: FieldName) => String(form.get(field) ?? "");
    const values = { name: text("name").trim(), email: text("email").trim(), password: text("password") };
    const missing = (Object.keys(MISSING) as FieldName[]).filter((field) => form.has(field) && !values[field]);
    setProblems(Object.fromEntries(missing.map((field) => [field, MISSING[field]])));
    if (missing.length > 0) return;
    setBusy(true);
    const failure = await failureOf(
      mode === "up" ? authClient.signUp.email(values) : authClient.signIn.email({ email: values.email, password: values.password }),
    );
    if (failure) setProblems(problemsOf(failure));
    else if (!(await authClient.getSession().catch(() => null))?.data) setProblems({ form: NO_COOKIE });
    setBusy(false);
  }

  return (
    <div className="welcome">
      <div className="welcome-theme">
        <ThemeButton />
      </div>
      <main className="welcome-card" aria-labelledby={heading}>
        <Logo />
        <h1 id={heading}>{mode === "in" ? "Welcome back" : "Create your account"}</h1>
        <p className="muted">{mode === "in" ? "Sign in to see your tasks." : "Your tasks are yours alone."}</p>
        <form ref={element} onSubmit={submit} noValidate>
          {mode === "up" && <Field label="Name" name="name" autoComplete="name" error={problems.name} />}
          <Field label="Email" name="email" type="email" autoComplete="username" error={problems.email} />
          <Field
            label="Password"
            name="password"
            type="password"
            autoComplete={mode === "in" ? "current-password" : "new-password"}
            hint={mode === "up" ? "At least 8 characters." : undefined}
            error={problems.password}
          />
          <p className="form-error" role="alert">
            {problems.form}
          </p>
          <button type="submit" className="button primary wide" disabled={busy}>
            {mode === "in" ? "Sign in" : "Sign up"}
          </button>
        </form>
        <p className="muted switch">
          {mode === "in" ? "New here?" : "Have an account?"}{" "}
          <button
            type="button"
            className="link"
            onClick={() => {
              setMode(mode === "in" ? "up" : "in");
              setProblems({});
            }}
          >
            {mode === "in" ? "Create an account" : "Sign in instead"}
          </button>
        </p>
      </main>
    </div>
  );
}
