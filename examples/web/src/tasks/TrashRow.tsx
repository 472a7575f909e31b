import { useState } from "react";
import type { Task } from "../api";
import { Dialog } from "../ui/Dialog";
import { BinIcon, RestoreIcon } from "../ui/icons";
import { useDeletePermanently, useRestore } from "./queries";

interface TrashRowProps {
  task: Task;
  onLeave: (id: string, button: string) => void;
}

export function TrashRow({ task, onLeave }: TrashRowProps) {
  const restore = useRestore();
  const remove = useDeletePermanently();
  const [asking, setAsking] = useState(false);
  return (
    <div className="task" data-completed={task.completed}>
      <div className="task-text">
        <span className="task-title" dir="auto">{task.title}</span>
        {task.description && <span className="task-description" dir="auto">{task.description}</span>}
      </div>
      <button
        type="button"
        className="icon-button"
        data-control="restore"
        aria-label={`Restore “${task.title}”`}
        onClick={() => {
          onLeave(task.id, '[data-control="restore"]');
          restore.mutate(task);
        }}
      >
        <RestoreIcon />
      </button>
      <button
        type="button"
        className="icon-button"
        data-control="delete"
        aria-label={`Delete “${task.title}” permanently`}
        onClick={() => setAsking(true)}
      >
        <BinIcon />
      </button>
      {asking && (
        <Dialog
          title="Delete permanently?"
          onClose={() => setAsking(false)}
          actions={
            <>
              <button type="button" className="button" onClick={() => setAsking(false)}>
                Cancel
              </button>
              <button
                type="button"
                className="button danger"
                onClick={() => {
                  setAsking(false);
                  onLeave(task.id, '[data-control="delete"]');
                  remove.mutate(task);
                }}
              >
                Delete permanently
              </button>
            </>
          }
        >
          <p dir="auto">“{task.title}” cannot be restored afterwards.</p>
        </Dialog>
      )}
    </div>
  );
}
