import { type FormEvent, type KeyboardEvent, useId, useState } from "react";
import { type Task, type TaskChanges, TaskConflictError } from "../api";
import { explanation, type FieldErrors, fieldErrors, isGone } from "../api/errors";
import { type Conflict, ConflictDialog } from "./ConflictDialog";
import { useEdit } from "./queries";
import { TaskFields, type TaskText } from "./TaskFields";

export interface Editing {
  /** The task as it was when the editing began. Its version is what a save must find. */
  task: Task;
  text: TaskText;
  /** Where the task was. The editor stays there if the task leaves the list, as one that is deleted elsewhere does. */
  list: string;
  index: number;
}

export const editingOf = (task: Task, list: string, index: number): Editing => ({
  task,
  text: { title: task.title, description: task.description ?? "" },
  list,
  index,
});

interface TaskEditorProps {
  editing: Editing;
  onChange: (editing: Editing) => void;
  onDone: (id: string) => void;
  /** Adds the text as a new task. */
  onAdd: (text: TaskText) => void;
}

function changesOf({ task, text }: Editing): TaskChanges {
  const description = text.description || null;
  return {
    ...(text.title !== task.title && { title: text.title }),
    ...(description !== task.description && { description }),
  };
}

export const isChanged = (editing: Editing) => Object.keys(changesOf(editing)).length > 0;

/** Edits a task in its place in the list. */
export function TaskEditor({ editing, onChange, onDone, onAdd }: TaskEditorProps) {
  const id = useId();
  const [errors, setErrors] = useState<FieldErrors>({});
  const [problem, setProblem] = useState("");
  const [conflict, setConflict] = useState<Conflict | null>(null);
  const { task } = editing;
  const { mutate, isPending, error: failure } = useEdit(task.id);
  const gone = isGone(failure);
  const done = () => onDone(task.id);

  function save(base: Task, changes: TaskChanges) {
    setErrors({});
    setProblem("");
    setConflict(null);
    if (Object.keys(changes).length === 0) {
      done();
      return;
    }
    mutate(
      { task: base, changes },
      {
        onSuccess: done,
        onError: (error) => {
          const fields = fieldErrors(error);
          if (fields) setErrors(fields);
          else if (error instanceof TaskConflictError) setConflict({ changes, current: error.current });
          else setProblem(`Not saved: ${isGone(error) ? "the task was deleted elsewhere." : explanation(error)}`);
        },
      },
    );
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    if (!gone) save(task, changesOf(editing));
    else {
      onAdd(editing.text);
      done();
    }
  }

  function onKeyDown(event: KeyboardEvent<HTMLFormElement>) {
    if (event.key === "Escape" && !conflict) done();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
  }

  return (
    <form className="task editor" aria-label={`Edit “${task.title}”`} onSubmit={submit} onKeyDown={onKeyDown}>
      <TaskFields
        id={id}
        text={editing.text}
        errors={errors}
        placeholder="Title"
        withDescription
        autoFocus
        onText={(text) => onChange({ ...editing, text })}
      />
      <p className="form-error" role="alert">
        {problem}
      </p>
      <div className="editor-actions">
        <button type="submit" className="button primary" disabled={isPending}>
          {gone ? "Add as a new task" : "Save"}
        </button>
        <button type="button" className="button" onClick={done}>
          Cancel
        </button>
      </div>
      {conflict && (
        <ConflictDialog
          {...conflict}
          onOverwrite={() => save(conflict.current, conflict.changes)}
          onKeepTheirs={done}
          onClose={() => setConflict(null)}
        />
      )}
    </form>
  );
}
