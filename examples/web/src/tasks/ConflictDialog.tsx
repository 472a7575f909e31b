import type { Task, TaskChanges } from "../api";
import { Dialog } from "../ui/Dialog";

export interface Conflict {
  changes: TaskChanges;
  current: Task;
}

interface ConflictDialogProps extends Conflict {
  onOverwrite: () => void;
  onKeepTheirs: () => void;
  onClose: () => void;
}

const ROWS = [
  ["title", "Title"],
  ["description", "Description"],
  ["completed", "Done"],
] as const;

function shown(value: string | boolean | null | undefined): string {
  if (typeof value === "boolean") return value ? "Yes" : "No";
  return value || "None";
}

/** Shows both versions of a task that was changed elsewhere while it was edited here. */
export function ConflictDialog({ changes, current, onOverwrite, onKeepTheirs, onClose }: ConflictDialogProps) {
  return (
    <Dialog
      title="This task was changed elsewhere"
      onClose={onClose}
      actions={
        <>
          <button type="button" className="button" onClick={onClose}>
            Go on editing
          </button>
          <button type="button" className="button" onClick={onKeepTheirs}>
            Keep theirs
          </button>
          <button type="button" className="button primary" onClick={onOverwrite}>
            Save mine
          </button>
        </>
      }
    >
      <p>Nothing is overwritten yet. Which version do you want to keep?</p>
      <table className="versions">
        <thead>
          <tr>
            <td />
            <th scope="col">Theirs</th>
            <th scope="col">Mine</th>
          </tr>
        </thead>
        <tbody>
          {ROWS.map(([name, label]) => {
            const mine = name in changes ? changes[name] : current[name];
            return (
              <tr key={name} className={mine === current[name] ? undefined : "differs"}>
                <th scope="row">{label}</th>
                <td dir="auto">{shown(current[name])}</td>
                <td dir="auto">{shown(mine)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Dialog>
  );
}
