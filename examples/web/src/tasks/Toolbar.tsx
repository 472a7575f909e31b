import { type MouseEvent, useState } from "react";
import type { TaskSort, TaskStatus } from "../api";
import { Dialog } from "../ui/Dialog";
import { MoreIcon } from "../ui/icons";
import { Menu } from "../ui/Menu";
import { addressOf, type View } from "../view";
import { useExport, useImport } from "./files";
import { ImportErrors } from "./ImportErrors";
import { useClear, useCounts } from "./queries";

const LISTS: readonly [TaskStatus, string][] = [
  ["all", "All"],
  ["pending", "Active"],
  ["completed", "Done"],
  ["trashed", "Trash"],
];
const SORTS: readonly [TaskSort, string][] = [
  ["-created", "Newest first"],
  ["created", "Oldest first"],
  ["title", "Title A–Z"],
  ["-title", "Title Z–A"],
  ["-updated", "Last changed"],
  ["updated", "Longest unchanged"],
];

export function Toolbar({ view, onView }: { view: View; onView: (view: View) => void }) {
  const { data: counts } = useCounts();
  const [clearing, setClearing] = useState(false);
  const { exportAs } = useExport();
  const { chooseFile, problem, dismiss } = useImport();
  const numbers: Partial<Record<TaskStatus, number>> = counts
    ? { all: counts.total, pending: counts.pending, completed: counts.completed }
    : {};

  function follow(event: MouseEvent, status: TaskStatus) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    onView({ ...view, status });
  }

  return (
    <div className="toolbar">
      <nav className="tabs" aria-label="Lists">
        {LISTS.map(([status, label]) => (
          <a
            key={status}
            className="tab"
            href={addressOf({ ...view, status })}
            aria-current={view.status === status ? "page" : undefined}
            onClick={(event) => follow(event, status)}
          >
            {label}
            {status !== "trashed" && <span className="count">{numbers[status]?.toLocaleString("en") ?? ""}</span>}
          </a>
        ))}
      </nav>
      <select
        className="sort"
        aria-label="Order"
        value={view.sort}
        onChange={(event) => onView({ ...view, sort: event.target.value as TaskSort })}
      >
        {SORTS.map(([sort, label]) => (
          <option key={sort} value={sort}>
            {label}
          </option>
        ))}
      </select>
      <Menu label="More actions" icon={<MoreIcon />}>
        {view.status === "trashed" ? (
          <button type="button" className="menu-item danger" onClick={() => setClearing(true)}>
            Empty trash …
          </button>
        ) : (
          <button type="button" className="menu-item" disabled={!counts?.completed} onClick={() => setClearing(true)}>
            Clear completed …
          </button>
        )}
        <hr />
        <button type="button" className="menu-item" onClick={chooseFile}>
          Import a file …
        </button>
        <button type="button" className="menu-item" onClick={() => void exportAs("json")}>
          Export as JSON
        </button>
        <button type="button" className="menu-item" onClick={() => void exportAs("ndjson")}>
          Export as NDJSON
        </button>
        <button type="button" className="menu-item" onClick={() => void exportAs("csv")}>
          Export as CSV
        </button>
      </Menu>
      {clearing && <ClearDialog trash={view.status === "trashed"} completed={counts?.completed ?? 0} onClose={() => setClearing(false)} />}
      {problem && <ImportErrors {...problem} onClose={dismiss} />}
    </div>
  );
}

function ClearDialog({ trash, completed, onClose }: { trash: boolean; completed: number; onClose: () => void }) {
  const clear = useClear();
  const tasks = completed === 1 ? "1 completed task moves" : `${completed.toLocaleString("en")} completed tasks move`;
  return (
    <Dialog
      title={trash ? "Empty the trash?" : "Clear completed tasks?"}
      onClose={onClose}
      actions={
        <>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="button"
            className={trash ? "button danger" : "button primary"}
            onClick={() => {
              clear.mutate(trash ? "trashed" : "completed");
              onClose();
            }}
          >
            {trash ? "Delete permanently" : "Move to trash"}
          </button>
        </>
      }
    >
      <p>{trash ? "All tasks in the trash are deleted permanently." : `${tasks} to the trash, where you can restore them.`}</p>
    </Dialog>
  );
}
