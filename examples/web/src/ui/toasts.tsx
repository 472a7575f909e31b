import { useEffect, useRef } from "react";
import { Store, useStore } from "../store";

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 8_000;
const shown = new Store<Toast | null>(null);
let last = 0;

/** Show a message for some seconds, in place of the one before. */
export function toast(text: string, action?: Toast["action"]): void {
  shown.set({ id: ++last, text, ...(action && { action }) });
}

/** The message, in a live region that is always there, so that screen readers announce what appears in it. */
export function Toasts() {
  const current = useStore(shown);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {current && <Message key={current.id} {...current} />}
    </div>
  );
}

function Message({ id, text, action }: Toast) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // It stays while the pointer or the focus is on it.
    const timer = setInterval(() => {
      if (!element.current?.matches(":hover, :focus-within")) close(id);
    }, SHOWN_MS);
    return () => clearInterval(timer);
  }, [id]);
  return (
    <div className="toast" ref={element}>
      <span>{text}</span>
      {action && (
        <button
          type="button"
          className="button quiet"
          onClick={() => {
            close(id);
            action.run();
          }}
        >
          {action.label}
        </button>
      )}
      <button type="button" className="icon-button" aria-label="Dismiss message" onClick={() => close(id)}>
        <span aria-hidden="true">×</span>
      </button>
    </div>
  );
}

function close(id: number): void {
  if (shown.get()?.id === id) shown.set(null);
}
