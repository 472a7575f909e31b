import type { FieldErrors } from "../api/errors";

export interface TaskText {
  title: string;
  description: string;
}

interface TaskFieldsProps {
  id: string;
  text: TaskText;
  errors: FieldErrors;
  placeholder?: string;
  withDescription: boolean;
  autoFocus?: boolean;
  onText: (text: TaskText) => void;
}

/** Title and description of a task, each with the error that the service reports for it. */
export function TaskFields({ id, text, errors, placeholder, withDescription, autoFocus, onText }: TaskFieldsProps) {
  const describedBy = (field: keyof FieldErrors) => (errors[field] ? `${id}-${field}-error` : undefined);
  return (
    <div className="task-fields">
      <input
        className="title-input"
        dir="auto"
        aria-label="Title"
        aria-invalid={Boolean(errors.title)}
        aria-describedby={describedBy("title")}
        autoComplete="off"
        autoFocus={autoFocus}
        enterKeyHint="done"
        placeholder={placeholder}
        value={text.title}
        onChange={(event) => onText({ ...text, title: event.target.value })}
      />
      <FieldError id={describedBy("title")} text={errors.title} />
      {withDescription && (
        <>
          <textarea
            className="description-input"
            dir="auto"
            aria-label="Description"
            aria-invalid={Boolean(errors.description)}
            aria-describedby={describedBy("description")}
            placeholder="Description (optional)"
            rows={Math.min(8, Math.max(1, text.description.split("\n").length))}
            value={text.description}
            onChange={(event) => onText({ ...text, description: event.target.value })}
          />
          <FieldError id={describedBy("description")} text={errors.description} />
        </>
      )}
    </div>
  );
}

function FieldError({ id, text }: { id: string | undefined; text: string | undefined }) {
  return text ? (
    <p id={id} className="field-error" role="alert">
      {text}
    </p>
  ) : null;
}
