import { type ReactNode, useEffect, useId, useRef } from "react";

interface DialogProps {
  title: string;
  children: ReactNode;
  /** The buttons, the safest first: it gets the focus. */
  actions: ReactNode;
  onClose: () => void;
}

/** A modal dialogue. The browser keeps the focus in it, and gives it back. */
export function Dialog({ title, children, actions, onClose }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current!;
    const before = document.activeElement;
    dialog.showModal();
    const body = dialog.querySelector<HTMLElement>(".dialog-body")!;
    // What scrolls must be reachable by keyboard.
    if (body.scrollHeight > body.clientHeight) body.tabIndex = 0;
    dialog.querySelector<HTMLElement>(".dialog-actions button")!.focus();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      className="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={id}>{title}</h2>
      <div className="dialog-body">{children}</div>
      <div className="dialog-actions">{actions}</div>
    </dialog>
  );
}
