import { type ReactNode, useEffect, useRef } from "react";

/** A button that discloses further buttons. Escape, a choice and leaving it close it. */
export function Menu({ label, icon, children }: { label: string; icon: ReactNode; children: ReactNode }) {
  const element = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const details = element.current!;
    const close = () => {
      details.open = false;
    };
    const leave = (event: FocusEvent | PointerEvent) => {
      const to = event instanceof FocusEvent ? event.relatedTarget : event.target;
      if (to instanceof Node && !details.contains(to)) close();
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !details.open) return;
      close();
      details.querySelector("summary")?.focus();
    };
    details.addEventListener("focusout", leave);
    details.addEventListener("keydown", escape);
    document.addEventListener("pointerdown", leave);
    return () => {
      details.removeEventListener("focusout", leave);
      details.removeEventListener("keydown", escape);
      document.removeEventListener("pointerdown", leave);
    };
  }, []);
  return (
    <details
      className="menu"
      ref={element}
      onClick={(event) => {
        if (!(event.target as Element).closest("button")) return;
        // A dialogue that the button opens gives the focus back to what has it now.
        element.current!.querySelector("summary")!.focus();
        element.current!.open = false;
      }}
    >
      <summary className="icon-button" aria-label={label}>
        {icon}
      </summary>
      <div className="menu-items">{children}</div>
    </details>
  );
}
