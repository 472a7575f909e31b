import { type FormEvent, type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import type { FieldErrors } from "../api/errors";
import { PlusIcon } from "../ui/icons";
import type { Outbox } from "./outbox";
import { TaskFields, type TaskText } from "./TaskFields";

export interface ComposerText extends TaskText {
  errors: FieldErrors;
}

export const NO_TEXT: ComposerText = { title: "", description: "", errors: {} };

interface ComposerProps {
  text: ComposerText;
  onText: (text: ComposerText) => void;
  outbox: Outbox;
}

/** The form of a new task. What the service refuses comes back into it, with the error at its field. */
export function Composer({ text, onText, outbox }: ComposerProps) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const latest = useRef(text);
  latest.current = text;
  const [busy, setBusy] = useState(0);
  const refused = Object.keys(text.errors).length > 0;

  useEffect(() => {
    if (refused) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [refused, text.errors]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const { title, description } = text;
    if (!title && !description) {
      form.current?.querySelector("input")?.focus();
      return;
    }
    onText(NO_TEXT);
    form.current?.querySelector("input")?.focus();
    setBusy((count) => count + 1);
    const left = await outbox.add(title, description || null);
    setBusy((count) => count - 1);
    // What was typed meanwhile is more important: then the refused task stays in its own list.
    if (left?.errors && !latest.current.title && !latest.current.description) {
      outbox.remove(left.key);
      onText({ title, description, errors: left.errors });
    }
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Escape") onText(NO_TEXT);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.current?.requestSubmit();
  }

  return (
    <form ref={form} className="composer" onSubmit={submit} onKeyDown={onKeyDown} aria-busy={busy > 0} aria-label="New task">
      <span className="composer-plus">
        <PlusIcon />
      </span>
      <TaskFields
        id={id}
        text={text}
        errors={text.errors}
        placeholder="Add a task"
        withDescription={Boolean(text.title || text.description)}
        onText={(changed) => onText({ ...changed, errors: {} })}
      />
      <button type="submit" className="button primary">
        Add
      </button>
    </form>
  );
}
