import { createContext, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from "react";
import { Store, useStore } from "../store";

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
  /** Stay until another message comes. */
  lasting?: boolean;
}

type Options = Partial<Pick<Toast, "action" | "lasting">>;

const SHOWN_MS = 8_000;
const ToastContext = createContext(new Store<Toast | null>(null));
let last = 0;

/** Has the message of the components in it. One that comes when they are gone is never seen. */
export function ToastProvider({ children }: { children: ReactNode }) {
  const [shown] = useState(() => new Store<Toast | null>(null));
  return <ToastContext.Provider value={shown}>{children}</ToastContext.Provider>;
}

/** Return a function that shows a message for some seconds, in place of the one before. */
export function useToast(): (text: string, options?: Options) => void {
  const shown = useContext(ToastContext);
  return useCallback((text, options) => shown.set({ id: ++last, text, ...options }), [shown]);
}

/** The message, in a live region that is always there, so that screen readers announce what appears in it. */
export function Toasts() {
  const shown = useContext(ToastContext);
  const current = useStore(shown);
  const close = useCallback((id: number) => shown.get()?.id === id && shown.set(null), [shown]);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {current && <Message key={current.id} {...current} onClose={close} />}
    </div>
  );
}

function Message({ id, text, action, lasting, onClose }: Toast & { onClose: (id: number) => void }) {
  const element = useRef<HTMLDivElement>(null);
  const before = useRef<HTMLElement | null>(null);
  useEffect(() => {
    if (lasting) return;
    // It stays while the pointer or the focus is on it.
    const timer = setInterval(() => {
      if (!element.current?.matches(":hover, :focus-within")) onClose(id);
    }, SHOWN_MS);
    return () => clearInterval(timer);
  }, [id, lasting, onClose]);

  function dismiss() {
    onClose(id);
    // The focus goes back to where it came from.
    const target = before.current?.isConnected ? before.current : document.querySelector<HTMLElement>("#tasks");
    target?.focus({ preventScroll: true });
  }

  return (
    <div
      className="toast"
      ref={element}
      onFocus={({ relatedTarget }) => {
        if (relatedTarget instanceof HTMLElement && !element.current!.contains(relatedTarget)) before.current = relatedTarget;
      }}
    >
      <span dir="auto">{text}</span>
      {action && (
        <button
          type="button"
          className="button quiet"
          onClick={() => {
            dismiss();
            action.run();
          }}
        >
          {action.label}
        </button>
      )}
      <button type="button" className="icon-button" aria-label="Dismiss message" onClick={dismiss}>
        <span aria-hidden="true">×</span>
      </button>
    </div>
  );
}
