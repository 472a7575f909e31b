import { type QueryClient, useMutationState, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { type Task, TaskConflictError, type TaskStatus, useClient } from "../api";
import { explanation, isGone } from "../api/errors";
import { quoted } from "../ui/quoted";
import { useToast } from "../ui/toasts";
import { belongs, dropTask, forgetTrash, newer, PROFILE, putTask } from "./cache";
import { useRestore } from "./queries";

const CHANGE = "change";

/** A change that shows before the service has confirmed it: what is shown instead of the task, if anything. */
interface Shown {
  task: Task;
  instead: Task | null;
}

/** The key of a task's changes, and the scope in which they are sent one after another. */
export const changeOf = (id: string) => ({ mutationKey: [CHANGE, id], scope: { id } });

/** The version that the last change of the task has made, if it is newer: what the next one must find. */
export function newest(cache: QueryClient, task: Task): Task {
  const changes = cache.getMutationCache().findAll({ mutationKey: [CHANGE, task.id], status: "success" });
  return changes.reduce((found, { state }) => (state.data ? newer(found, state.data as Task) : found), task);
}

/** Show the changes that are on their way. When one fails, the list is as the service has it. */
export function useShown(tasks: readonly Task[], status: TaskStatus): readonly Task[] {
  const changes = useMutationState({
    filters: { mutationKey: [CHANGE], status: "pending", predicate: ({ state }) => "instead" in (state.variables as object) },
    select: ({ state }) => state.variables as Shown,
  });
  return useMemo(() => {
    if (changes.length === 0 || status === "trashed") return tasks;
    const shown = new Map(changes.map(({ task, instead }) => [task.id, instead]));
    return tasks.flatMap((task) => {
      const instead = shown.get(task.id);
      return instead === undefined ? task : instead && belongs(instead, status) ? instead : [];
    });
  }, [tasks, changes, status]);
}

/** Complete, reopen and delete tasks: shown at once, and undone if the service refuses. */
export function useChanges() {
  const cache = useQueryClient();
  const client = useClient();
  const toast = useToast();
  const { mutate: restore } = useRestore();
  return useMemo(() => {
    function send<Data>(shown: Shown, request: (task: Task) => Promise<Data>, done: (data: Data) => void, refused: string) {
      const { task } = shown;
      const mutation = cache.getMutationCache().build<Data, Error, Shown, unknown>(cache, {
        ...changeOf(task.id),
        mutationFn: () => request(newest(cache, task)),
        onSuccess: done,
        onError: (error) => {
          if (error instanceof TaskConflictError) {
            putTask(cache, error.current);
            toast(`${quoted(task.title)} was changed elsewhere. It is shown as it is now.`);
          } else if (isGone(error)) {
            dropTask(cache, task.id, "lists");
            toast(`${quoted(task.title)} was deleted elsewhere.`);
          } else toast(`${quoted(task.title)} ${refused}: ${explanation(error)}`);
        },
        onSettled: () => cache.invalidateQueries({ queryKey: PROFILE }),
      });
      mutation.execute(shown).catch(() => undefined);
    }

    function toggle(task: Task): void {
      const completed = !task.completed;
      const done = (changed: Task) => putTask(cache, changed);
      send({ task, instead: { ...task, completed } }, (base) => client.tasks.update(base, { completed }), done, "is as before");
    }

    function remove(task: Task): void {
      const done = () => {
        dropTask(cache, task.id, "lists");
        forgetTrash(cache);
        toast(`${quoted(task.title)} is in the trash.`, { action: { label: "Undo", run: () => restore(task) } });
      };
      send({ task, instead: null }, (base) => client.tasks.delete(base), done, "was not deleted");
    }

    return { toggle, remove };
  }, [cache, client, toast, restore]);
}
