import { type FormEvent, useId, useState } from "react";
import { Field } from "../ui/Field";
import { Logo } from "../ui/icons";
import { ThemeButton } from "../ui/theme";
import { authClient } from "./client";

type Mode = "in" | "up";

/** Better Auth's code of an error names the field that it is about. */
function fieldOf(code: string | undefined): "email" | "password" | null {
  if (code?.includes("EMAIL_OR_PASSWORD")) return null;
  if (code?.includes("PASSWORD")) return "password";
  return code?.includes("EMAIL") || code?.includes("USER") ? "email" : null;
}

export function SignIn() {
  const [mode, setMode] = useState<Mode>("in");
  const [problem, setProblem] = useState<{ field: "email" | "password" | null; text: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const heading = useId();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [name, email, password] = ["name", "email", "password"].map((field) => String(form.get(field) ?? "").trim());
    setBusy(true);
    setProblem(null);
    const { error } =
      mode === "up"
        ? await authClient.signUp.email({ name: name!, email: email!, password: password! })
        : await authClient.signIn.email({ email: email!, password: password! });
    setBusy(false);
    if (error) setProblem({ field: fieldOf(error.code), text: error.message ?? "The page's server cannot be reached." });
  }

  const about = (field: "email" | "password") => (problem?.field === field ? problem.text : undefined);
  return (
    <div className="welcome">
      <div className="welcome-theme">
        <ThemeButton />
      </div>
      <main className="welcome-card" aria-labelledby={heading}>
        <Logo />
        <h1 id={heading}>{mode === "in" ? "Welcome back" : "Create your account"}</h1>
        <p className="muted">{mode === "in" ? "Sign in to see your tasks." : "Your tasks are yours alone."}</p>
        <form onSubmit={submit} noValidate>
          {mode === "up" && <Field label="Name" name="name" autoComplete="name" />}
          <Field label="Email" name="email" type="email" autoComplete="username" error={about("email")} />
          <Field
            label="Password"
            name="password"
            type="password"
            autoComplete={mode === "in" ? "current-password" : "new-password"}
            hint={mode === "up" ? "At least 8 characters." : undefined}
            error={about("password")}
          />
          <p className="form-error" role="alert">
            {problem && !problem.field ? problem.text : ""}
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
              setProblem(null);
            }}
          >
            {mode === "in" ? "Create an account" : "Sign in instead"}
          </button>
        </p>
      </main>
    </div>
  );
}
