import { UnauthenticatedError } from "tasks-api-client";
import type { Task, TasksClient } from "../api";
import { explanation, fieldErrors, type FieldErrors, isTemporary } from "../api/errors";
import { SignedOutError } from "../auth/client";
import { store, stored } from "../storage";
import { Store } from "../store";

/** A task that the service has not confirmed yet. */
export interface Draft {
  /** Its `Idempotency-Key`: however often the request is repeated, from whichever tab, it creates one task. */
  key: string;
  title: string;
  description: string | null;
  /** Why the service refused it. */
  errors?: FieldErrors;
}

export interface OutboxEvents {
  /** A draft has become this task. */
  onSent: (task: Task) => void;
  /** What could be sent has been sent. */
  onPause: () => void;
  /** Another tab has sent a draft. */
  onSentElsewhere: () => void;
}

/**
 * New tasks of one user on their way to the service. They are kept in localStorage until they are confirmed, so that
 * neither a lost connection nor a closed tab loses them; all tabs share them, and one at a time sends.
 */
export class Outbox {
  readonly drafts: Store<readonly Draft[]>;
  readonly #name: string;
  readonly #client: TasksClient;
  readonly #events: OutboxEvents;
  #life = new AbortController();

  constructor(userId: string, client: TasksClient, events: OutboxEvents) {
    this.#name = `outbox:${userId}`;
    this.#client = client;
    this.#events = events;
    this.drafts = new Store<readonly Draft[]>(this.#read());
  }

  open(): void {
    this.#life = new AbortController();
    addEventListener("storage", this.#follow, { signal: this.#life.signal });
  }

  /** Send nothing more, as the user signs out. What is left waits for them. */
  close(): void {
    this.#life.abort();
  }

  add(title: string, description: string | null): Promise<Draft | null> {
    const key = crypto.randomUUID();
    this.#write([...this.#read(), { key, title, description }]);
    return this.send().then(() => this.#read().find((draft) => draft.key === key) ?? null);
  }

  remove(key: string): void {
    this.#write(this.#read().filter((draft) => draft.key !== key));
  }

  /** Send what is waiting, in order, until something prevents it. */
  async send(): Promise<void> {
    const { signal } = this.#life;
    await navigator.locks.request(this.#name, async () => {
      const waiting = this.#read().filter((draft) => !draft.errors);
      for (const draft of waiting) {
        if (signal.aborted || !(await this.#sendOne(draft, signal))) break;
      }
      if (waiting.length > 0) this.#events.onPause();
    });
  }

  async #sendOne(draft: Draft, signal: AbortSignal, again = true): Promise<boolean> {
    const { key, title, description } = draft;
    try {
      const task = await this.#client.tasks.create(
        { title, ...(description !== null && { description }) },
        { idempotencyKey: key, signal },
      );
      this.remove(key);
      this.#events.onSent(task);
      return true;
    } catch (error) {
      // The issuer may have withdrawn the key of the token; the client gets a new token then.
      if (again && error instanceof UnauthenticatedError) return this.#sendOne(draft, signal, false);
      if (signal.aborted || isTemporary(error) || error instanceof SignedOutError) return false;
      const errors = fieldErrors(error) ?? { title: explanation(error) };
      this.#write(this.#read().map((one) => (one.key === key ? { ...one, errors } : one)));
      return true;
    }
  }

  #follow = (event: StorageEvent): void => {
    if (event.key !== this.#name) return;
    const [before, now] = [this.drafts.get(), this.#read()];
    this.drafts.set(now);
    // Another tab has sent it, and knows the task that it has become.
    if (before.some(({ key }) => !now.some((draft) => draft.key === key))) this.#events.onSentElsewhere();
  };

  #read(): Draft[] {
    try {
      const drafts: unknown = JSON.parse(stored(this.#name) ?? "[]");
      return Array.isArray(drafts) ? drafts.filter(isDraft) : [];
    } catch {
      // Something else has written there.
      return [];
    }
  }

  #write(drafts: readonly Draft[]): void {
    store(this.#name, JSON.stringify(drafts));
    this.drafts.set(drafts);
  }
}

function isDraft(value: unknown): value is Draft {
  const { key, title } = (value ?? {}) as Partial<Draft>;
  return typeof key === "string" && typeof title === "string";
}
