import { memo } from "react";
import type { Task } from "../api";
import { BinIcon } from "../ui/icons";

interface TaskRowProps {
  task: Task;
  onToggle: (task: Task) => void;
  onEdit: (task: Task) => void;
  onDelete: (task: Task) => void;
  /** Called before the row disappears, with the selector of the button that has the focus. */
  onLeave: (id: string, button: string) => void;
}

export const TaskRow = memo(function TaskRow({ task, onToggle, onEdit, onDelete, onLeave }: TaskRowProps) {
  return (
    <div className="task" data-completed={task.completed}>
      <input
        type="checkbox"
        className="check"
        data-control="check"
        checked={task.completed}
        aria-label={`Complete “${task.title}”`}
        onChange={() => onToggle(task)}
      />
      <div className="task-text">
        <button
          type="button"
          className="task-title"
          dir="auto"
          data-control="title"
          aria-label={`Edit “${task.title}”`}
          onClick={() => onEdit(task)}
        >
          {task.title}
        </button>
        {task.description && <span className="task-description" dir="auto">{task.description}</span>}
      </div>
      <button
        type="button"
        className="icon-button on-hover"
        data-control="delete"
        aria-label={`Delete “${task.title}”`}
        onClick={() => {
          onLeave(task.id, '[data-control="delete"]');
          onDelete(task);
        }}
      >
        <BinIcon />
      </button>
    </div>
  );
});
