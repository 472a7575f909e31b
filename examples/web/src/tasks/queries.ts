import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { client, type Task, type TaskChanges, TaskConflictError, TasksApiError, type TaskSort, type TaskStatus } from "../api";
import { explanation } from "../api/errors";
import { toast } from "../ui/toasts";
import { dropCompleted, dropTask, forgetTrash, LISTS, listKey, PROFILE, putTask } from "./cache";

/** The first page is what the window shows; further ones are large, so that fast scrolling waits for few requests. */
const FIRST_PAGE = 50;
const FURTHER_PAGES = 500;

export function useTasks(status: TaskStatus, sort: TaskSort) {
  return useInfiniteQuery({
    queryKey: listKey(status, sort),
    queryFn: ({ pageParam, signal }) =>
      client.tasks.page({
        status,
        sort,
        signal,
        ...(pageParam ? { limit: FURTHER_PAGES, cursor: pageParam } : { limit: FIRST_PAGE }),
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next,
  });
}

export function useCounts() {
  return useQuery({
    queryKey: PROFILE,
    queryFn: ({ signal }) => client.profile.get({ signal }),
    select: (profile) => profile.tasks,
  });
}

/** Save an edited task: shown when the service has confirmed it, as the editor stays open until then. */
export function useEdit() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ task, changes }: { task: Task; changes: TaskChanges }) => client.tasks.update(task, changes),
    onSuccess: (task) => putTask(cache, task),
    // The list shows the other version; the editor asks which one to keep.
    onError: (error) => error instanceof TaskConflictError && putTask(cache, error.current),
  });
}

/** Complete or reopen a task: shown at once, and undone if the service refuses. */
export function useToggle() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (task: Task) => client.tasks.update(task, { completed: !task.completed }),
    onMutate: async (task) => {
      await cache.cancelQueries({ queryKey: [LISTS] });
      putTask(cache, { ...task, completed: !task.completed });
    },
    onSuccess: (task) => putTask(cache, task),
    onError: (error, task) => {
      if (error instanceof TaskConflictError) {
        putTask(cache, error.current);
        toast(`“${task.title}” was changed elsewhere. It is shown as it is now.`);
      } else if (isGone(error)) {
        dropTask(cache, task.id, "lists");
        toast(`“${task.title}” was deleted elsewhere.`);
      } else {
        putTask(cache, task);
        toast(`“${task.title}” is as before: ${explanation(error)}`);
      }
    },
    onSettled: () => cache.invalidateQueries({ queryKey: PROFILE }),
  });
}

function isGone(error: unknown): boolean {
  return error instanceof TasksApiError && error.status === 404;
}

/** Move a task to the trash, with a way back. */
export function useDelete() {
  const cache = useQueryClient();
  const restore = useRestore();
  return useMutation({
    mutationFn: (task: Task) => client.tasks.delete(task),
    onMutate: async (task) => {
      await cache.cancelQueries({ queryKey: [LISTS] });
      dropTask(cache, task.id, "lists");
    },
    onSuccess: (_, task) => {
      forgetTrash(cache);
      toast(`“${task.title}” is in the trash.`, { label: "Undo", run: () => restore.mutate(task) });
    },
    onError: (error, task) => {
      if (isGone(error)) return;
      putTask(cache, task);
      toast(`“${task.title}” was not deleted: ${explanation(error)}`);
    },
    onSettled: () => cache.invalidateQueries({ queryKey: PROFILE }),
  });
}

export function useRestore() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (task: Task) => client.tasks.restore(task),
    onSuccess: (restored) => {
      dropTask(cache, restored.id, "trash");
      putTask(cache, restored);
      toast(`“${restored.title}” is back.`);
    },
    onError: (error, task) => toast(`“${task.title}” was not restored: ${explanation(error)}`),
    onSettled: () => cache.invalidateQueries({ queryKey: PROFILE }),
  });
}

export function useDeletePermanently() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (task: Task) => client.tasks.delete(task, { permanent: true }),
    onSuccess: (_, task) => {
      dropTask(cache, task.id, "trash");
      toast(`“${task.title}” was deleted permanently.`);
    },
    onError: (error, task) => toast(`“${task.title}” was not deleted: ${explanation(error)}`),
  });
}

/** Move all completed tasks to the trash, or empty the trash. */
export function useClear() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (status: "completed" | "trashed") => client.tasks.clear(status),
    onSuccess: async (count, status) => {
      if (status === "completed") dropCompleted(cache);
      forgetTrash(cache);
      await cache.invalidateQueries();
      const tasks = count === 1 ? "1 task" : `${count} tasks`;
      toast(status === "completed" ? `${tasks} moved to the trash.` : `${tasks} deleted permanently.`);
    },
    onError: (error) => toast(`Nothing was deleted: ${explanation(error)}`),
  });
}
