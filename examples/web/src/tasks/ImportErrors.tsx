import { Dialog } from "../ui/Dialog";
import type { ImportProblem } from "./files";

const SHOWN = 50;

export function ImportErrors({ file, errors, onClose }: ImportProblem & { onClose: () => void }) {
  return (
    <Dialog
      title="Nothing was imported"
      onClose={onClose}
      actions={
        <button type="button" className="button primary" onClick={onClose}>
          Close
        </button>
      }
    >
      <p>
        “{file}” has {errors.length === 1 ? "an error" : `${errors.length.toLocaleString("en")} errors`}. Mend it and import it again.
      </p>
      {/* Scrollable content must be reachable by keyboard. */}
      <ul className="error-list" tabIndex={0} aria-label="Errors">
        {errors.slice(0, SHOWN).map(({ where, detail }, index) => (
          <li key={index}>
            <strong>{where}</strong> {detail}
          </li>
        ))}
        {errors.length > SHOWN && <li className="muted">… and {errors.length - SHOWN} more</li>}
      </ul>
    </Dialog>
  );
}
