import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type Task, type TaskChanges, TaskConflictError, type TaskSort, type TaskStatus, useClient } from "../api";
import { explanation, isGone } from "../api/errors";
import { quoted } from "../ui/quoted";
import { useToast } from "../ui/toasts";
import { dropCompleted, dropTask, forgetTrash, listKey, PROFILE, putTask } from "./cache";
import { changeOf, newest } from "./changes";

/** The first page is what the window shows; further ones are large, so that fast scrolling waits for few requests. */
const FIRST_PAGE = 50;
const FURTHER_PAGES = 500;

export function useTasks(status: TaskStatus, sort: TaskSort) {
  const client = useClient();
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
  const client = useClient();
  return useQuery({
    queryKey: PROFILE,
    queryFn: ({ signal }) => client.profile.get({ signal }),
    select: (profile) => profile.tasks,
  });
}

/** Save an edited task: shown when the service has confirmed it, as the editor stays open until then. */
export function useEdit(id: string) {
  const cache = useQueryClient();
  const client = useClient();
  return useMutation({
    ...changeOf(id),
    mutationFn: ({ task, changes }: { task: Task; changes: TaskChanges }) => client.tasks.update(newest(cache, task), changes),
    onSuccess: (task) => putTask(cache, task),
    // The list shows the task as it is now; the editor stays, and says so.
    onError: (error) => {
      if (error instanceof TaskConflictError) putTask(cache, error.current);
      else if (isGone(error)) dropTask(cache, id, "lists");
    },
  });
}

export function useRestore() {
  const cache = useQueryClient();
  const client = useClient();
  const toast = useToast();
  return useMutation({
    mutationFn: (task: Task) => client.tasks.restore(task),
    onSuccess: (restored) => {
      dropTask(cache, restored.id, "trash");
      putTask(cache, restored);
      toast(`${quoted(restored.title)} is back.`);
    },
    onError: (error, task) => {
      if (isGone(error)) dropTask(cache, task.id, "trash");
      toast(`${quoted(task.title)} was not restored: ${explanation(error)}`);
    },
    onSettled: () => cache.invalidateQueries({ queryKey: PROFILE }),
  });
}

export function useDeletePermanently() {
  const cache = useQueryClient();
  const client = useClient();
  const toast = useToast();
  return useMutation({
    mutationFn: (task: Task) => client.tasks.delete(task, { permanent: true }),
    onSuccess: (_, task) => {
      dropTask(cache, task.id, "trash");
      toast(`${quoted(task.title)} was deleted permanently.`);
    },
    onError: (error, task) => {
      if (isGone(error)) dropTask(cache, task.id, "trash");
      toast(`${quoted(task.title)} was not deleted: ${explanation(error)}`);
    },
  });
}

/** Move all completed tasks to the trash, or empty the trash. */
export function useClear() {
  const cache = useQueryClient();
  const client = useClient();
  const toast = useToast();
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
