import { defaultRangeExtractor, type Range, useWindowVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Task, TaskSort, TaskStatus } from "../api";
import { explanation, isTemporary } from "../api/errors";
import { obstacle } from "../connection";
import { useStore } from "../store";
import { tasksOf } from "./cache";
import { useChanges, useShown } from "./changes";
import { useTasks } from "./queries";
import { type Editing, editingOf, TaskEditor } from "./TaskEditor";
import type { TaskText } from "./TaskFields";
import { TaskRow } from "./TaskRow";
import { TrashRow } from "./TrashRow";

/** Further tasks are fetched when fewer than this many below the window are loaded. */
const AHEAD = 150;
/** Of a row, and of a description in one line. Longer texts are measured. */
const ROW_HEIGHT = 53;
const DESCRIPTION_HEIGHT = 16;

interface TaskListProps {
  status: TaskStatus;
  sort: TaskSort;
  /** The number of new tasks that the list above shows. */
  waiting: number;
  /** What is being edited, which another list does not discard. */
  editing: Editing | null;
  onEditing: (editing: Editing | null) => void;
  onAdd: (text: TaskText) => void;
}

export function TaskList({ status, sort, waiting, editing, onEditing, onAdd }: TaskListProps) {
  const { data, error, isFetching, isFetchingNextPage, hasNextPage, fetchNextPage, refetch } = useTasks(status, sort);
  const loaded = useMemo(() => (data ? tasksOf(data) : []), [data]);
  const shown = useShown(loaded, status);
  const name = `${status} ${sort}`;
  const tasks = useMemo(() => withEdited(shown, editing?.list === name ? editing : null), [shown, editing, name]);
  const changes = useChanges();
  // What is due to the connection is the banner's.
  const failed = error && !isFetching && !isTemporary(error) ? error : null;
  const blocked = useStore(obstacle) !== null;
  const list = useRef<HTMLUListElement>(null);
  const [focused, setFocused] = useState<string | null>(null);
  const focusLater = useRef<string | null>(null);

  // The rows with the focus and with the editor stay in the document, however far they are scrolled away.
  const pinned = useMemo(
    () => [focused, editing?.task.id].map((id) => tasks.findIndex((task) => task.id === id)).filter((index) => index >= 0),
    [tasks, focused, editing?.task.id],
  );
  const rangeExtractor = useCallback(
    (range: Range) => [...new Set([...defaultRangeExtractor(range), ...pinned])].sort((a, b) => a - b),
    [pinned],
  );
  const virtualizer = useWindowVirtualizer({
    count: tasks.length,
    estimateSize: (index) => ROW_HEIGHT + (tasks[index]!.description ? DESCRIPTION_HEIGHT : 0),
    getItemKey: (index) => tasks[index]!.id,
    overscan: 12,
    rangeExtractor,
    scrollMargin: useOffsetTop(list),
  });
  const rows = virtualizer.getVirtualItems();

  const lastVisible = virtualizer.range?.endIndex ?? 0;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && !blocked && !failed && lastVisible > tasks.length - AHEAD) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, blocked, failed, lastVisible, tasks.length, fetchNextPage]);

  useEffect(() => {
    const selector = focusLater.current;
    const target = selector && document.querySelector<HTMLElement>(selector);
    if (!target) return;
    focusLater.current = null;
    // Someone who is elsewhere by now stays there.
    if (document.activeElement === document.body || list.current?.contains(document.activeElement)) target.focus({ preventScroll: true });
  });

  const edit = useCallback((task: Task) => onEditing(editingOf(task, name, tasks.indexOf(task))), [onEditing, name, tasks]);
  const stopEditing = useCallback(
    (id: string) => {
      onEditing(null);
      // Saving may have moved the row out of sight.
      setFocused(id);
      focusLater.current = shown.some((task) => task.id === id) ? `[data-task="${id}"] .task-title` : ".title-input";
    },
    [onEditing, shown],
  );
  /** The focus goes from a row that disappears to its neighbour, to the same button. */
  const leave = useCallback(
    (id: string, button: string) => {
      const index = tasks.findIndex((task) => task.id === id);
      const neighbour = tasks[index + 1] ?? tasks[index - 1];
      focusLater.current = neighbour ? `[data-task="${neighbour.id}"] ${button}` : ".title-input";
    },
    [tasks],
  );

  const toggle = useCallback(
    (task: Task) => {
      if (status !== "all") leave(task.id, '[data-control="check"]');
      changes.toggle(task);
    },
    [status, leave, changes],
  );

  function onKeyDown(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const control = event.target as HTMLElement;
    const row = control.closest("li");
    if (!step || !row || control.closest("form")) return;
    event.preventDefault();
    const next = list.current!.querySelector<HTMLElement>(`[data-index="${Number(row.dataset.index) + step}"]`);
    next?.querySelector<HTMLElement>(`[data-control="${control.dataset.control}"]`)?.focus();
  }

  if (!data) return failed ? <Failed error={failed} onRetry={refetch} /> : <Loading />;
  if (tasks.length === 0 && !hasNextPage) return waiting > 0 && status !== "trashed" ? null : <Empty status={status} />;
  return (
    <>
      <ul
        ref={list}
        className="tasks"
        aria-label={status === "trashed" ? "Tasks in the trash" : "Tasks"}
        style={{ height: virtualizer.getTotalSize() }}
        onKeyDown={onKeyDown}
        onFocus={(event) => setFocused((event.target as Element).closest("li")?.dataset.task ?? null)}
        onBlur={() => setFocused(null)}
      >
        {rows.map((row) => {
          const task = tasks[row.index]!;
          return (
            <li
              key={row.key}
              ref={virtualizer.measureElement}
              data-index={row.index}
              data-task={task.id}
              className="task-place"
              aria-setsize={hasNextPage ? -1 : tasks.length}
              aria-posinset={row.index + 1}
              style={{ transform: `translateY(${row.start - virtualizer.options.scrollMargin}px)` }}
            >
              {status === "trashed" ? (
                <TrashRow task={task} onLeave={leave} />
              ) : editing?.task.id === task.id ? (
                <TaskEditor editing={editing} onChange={onEditing} onDone={stopEditing} onAdd={onAdd} />
              ) : (
                <TaskRow task={task} onToggle={toggle} onEdit={edit} onDelete={changes.remove} onLeave={leave} />
              )}
            </li>
          );
        })}
      </ul>
      {/* A new element below each page and at each height of the list, as it would be a layout shift if one moved. */}
      {failed && <Failed error={failed} onRetry={hasNextPage ? fetchNextPage : refetch} />}
      {hasNextPage && !failed && (
        <p key={virtualizer.getTotalSize()} className="more muted">
          Loading more tasks …
        </p>
      )}
    </>
  );
}

/** The tasks with the edited one, also if it is no longer among them. */
function withEdited(tasks: readonly Task[], editing: Editing | null): readonly Task[] {
  if (!editing || tasks.some(({ id }) => id === editing.task.id)) return tasks;
  return tasks.toSpliced(editing.index, 0, editing.task);
}

/** The distance of an element from the top of the page, as of the last rendering. */
function useOffsetTop(element: { current: HTMLElement | null }): number {
  const [top, setTop] = useState(0);
  // Whatever changes the height of what is above renders the list, too.
  useLayoutEffect(() => {
    const current = element.current;
    if (current) setTop(current.getBoundingClientRect().top + scrollY);
  });
  return top;
}

function Loading() {
  return (
    <div className="tasks" aria-busy="true" role="status">
      <span className="visually-hidden">Loading the tasks</span>
      {Array.from({ length: 8 }, (_, index) => (
        <div key={index} className="task skeleton" aria-hidden="true">
          <span className="skeleton-mark" />
          <span className="skeleton-line" />
        </div>
      ))}
    </div>
  );
}

/** Tasks that cannot be loaded for a reason that no waiting mends. */
function Failed({ error, onRetry }: { error: Error; onRetry: () => unknown }) {
  return (
    <div className="empty" role="alert">
      <h2>The tasks could not be loaded</h2>
      <p className="muted">{explanation(error)}</p>
      <button type="button" className="button" onClick={() => void onRetry()}>
        Try again
      </button>
    </div>
  );
}

const EMPTY: Record<TaskStatus, [string, string]> = {
  all: ["Nothing to do", "Add your first task above, or import a file."],
  pending: ["All done", "There is no active task."],
  completed: ["Nothing is done yet", "Completed tasks appear here."],
  trashed: ["The trash is empty", "Deleted tasks stay here for a while before they are removed."],
};

function Empty({ status }: { status: TaskStatus }) {
  const [title, text] = EMPTY[status];
  return (
    <div className="empty">
      <svg viewBox="0 0 64 64" width="64" height="64" aria-hidden="true">
        <rect x="10" y="12" width="44" height="40" rx="10" />
        <path d="m23 32.5 6.4 6.4L42 26" />
      </svg>
      <h2>{title}</h2>
      <p className="muted">{text}</p>
    </div>
  );
}
