import { BinIcon } from "../ui/icons";
import type { ComposerText } from "./Composer";
import type { Draft, Outbox } from "./outbox";

interface DraftListProps {
  drafts: readonly Draft[];
  outbox: Outbox;
  onEdit: (text: ComposerText) => void;
}

/** New tasks that the service has not confirmed, or has refused. */
export function DraftList({ drafts, outbox, onEdit }: DraftListProps) {
  if (drafts.length === 0) return null;
  function edit(draft: Draft) {
    outbox.remove(draft.key);
    onEdit({ title: draft.title, description: draft.description ?? "", errors: draft.errors ?? {} });
  }
  return (
    <ul className="drafts" aria-label="New tasks that are not saved yet">
      {drafts.map((draft) => (
        <li key={draft.key} className="task draft">
          <span className="draft-mark" aria-hidden="true" />
          <div className="task-text">
            <span className="task-title" dir="auto">{draft.title || "No title"}</span>
            {draft.errors ? (
              <span className="field-error">{Object.values(draft.errors).join(" ")}</span>
            ) : (
              <span className="task-description">Waiting to be sent</span>
            )}
          </div>
          {draft.errors && (
            <>
              <button type="button" className="button quiet" onClick={() => edit(draft)}>
                Edit
              </button>
              <button type="button" className="icon-button" aria-label={`Discard “${draft.title}”`} onClick={() => outbox.remove(draft.key)}>
                <BinIcon />
              </button>
            </>
          )}
        </li>
      ))}
    </ul>
  );
}
