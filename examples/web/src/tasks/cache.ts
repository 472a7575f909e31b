import { type InfiniteData, type QueryClient } from "@tanstack/react-query";
import type { Task, TaskSort, TaskStatus } from "../api";

export interface Page {
  tasks: Task[];
  next: string | undefined;
}

export type List = InfiniteData<Page, string | undefined>;

/** The key of the lists; that of one is `[LISTS, status, sort]`. */
export const LISTS = "tasks";
export const PROFILE = ["me"] as const;

export const listKey = (status: TaskStatus, sort: TaskSort) => [LISTS, status, sort] as const;

/**
 * The tasks of all pages, each once: one that changed between the requests of two pages can be on both. It stays where
 * it was, so that nothing moves, in its newer state.
 */
export function tasksOf({ pages }: Pick<List, "pages">): Task[] {
  return [...new Map(pages.flatMap((page) => page.tasks).map((task) => [task.id, task])).values()];
}

/** Show the task as it is now in every list that is loaded: replaced, moved, added or removed. */
export function putTask(cache: QueryClient, task: Task): void {
  changeLists(cache, (list, status, sort) => {
    if (!belongs(task, status)) return without(list, task.id);
    const before = find(list, task.id);
    if (before && compare(sort)(before, task) === 0) return replaced(list, task);
    return inserted(without(list, task.id), task, sort);
  });
}

/** Remove the task from every list but the trash, or from the trash. */
export function dropTask(cache: QueryClient, id: string, from: "lists" | "trash"): void {
  changeLists(cache, (list, status) => ((status === "trashed") === (from === "trash") ? without(list, id) : list));
}

export function dropCompleted(cache: QueryClient): void {
  changeLists(cache, (list, status) => (status === "trashed" ? list : kept(list, (task) => !task.completed)));
}

/** Fetch the trash again when it is next shown. */
export function forgetTrash(cache: QueryClient): void {
  cache.removeQueries({ queryKey: [LISTS, "trashed"], type: "inactive" });
}

function changeLists(cache: QueryClient, change: (list: List, status: TaskStatus, sort: TaskSort) => List): void {
  for (const [key, list] of cache.getQueriesData<List>({ queryKey: [LISTS] })) {
    if (list) cache.setQueryData(key, change(list, key[1] as TaskStatus, key[2] as TaskSort));
  }
  if (cache.isFetching({ queryKey: [LISTS] }) > 0) void fetchAgain(cache);
}

/** Replace the requests under way, because their lists may be from before the change. */
async function fetchAgain(cache: QueryClient): Promise<void> {
  await cache.cancelQueries({ queryKey: [LISTS] });
  await cache.invalidateQueries({ queryKey: [LISTS] });
}

export function belongs(task: Task, status: TaskStatus): boolean {
  return status === "all" || (status === "pending" && !task.completed) || (status === "completed" && task.completed);
}

function find(list: List, id: string): Task | undefined {
  for (const page of list.pages) {
    const task = page.tasks.find((one) => one.id === id);
    if (task) return task;
  }
  return undefined;
}

function kept(list: List, test: (task: Task) => boolean): List {
  const pages = list.pages.map((page) => (page.tasks.every(test) ? page : { ...page, tasks: page.tasks.filter(test) }));
  return pages.every((page, index) => page === list.pages[index]) ? list : { ...list, pages };
}

const without = (list: List, id: string) => kept(list, (task) => task.id !== id);

function replaced(list: List, task: Task): List {
  const swap = (page: Page): Page =>
    page.tasks.some((one) => one.id === task.id)
      ? { ...page, tasks: page.tasks.map((one) => (one.id === task.id ? task : one)) }
      : page;
  return { ...list, pages: list.pages.map(swap) };
}

/** Put the task where the order of the list has it, unless that is beyond what is loaded. */
function inserted(list: List, task: Task, sort: TaskSort): List {
  const order = compare(sort);
  const last = list.pages.length - 1;
  const target = list.pages.findIndex(
    (page, index) => (index === last && !page.next) || page.tasks.some((one) => order(task, one) < 0),
  );
  const page = list.pages[target];
  if (!page) return list;
  const found = page.tasks.findIndex((one) => order(task, one) < 0);
  const tasks = page.tasks.toSpliced(found < 0 ? page.tasks.length : found, 0, task);
  return { ...list, pages: list.pages.with(target, { ...page, tasks }) };
}

function compare(sort: TaskSort): (a: Task, b: Task) => number {
  const sign = sort.startsWith("-") ? -1 : 1;
  switch (sort.replace("-", "")) {
    case "title":
      return (a, b) => sign * order(letters(a.title), letters(b.title));
    case "updated":
      return (a, b) => sign * order(digits(a.updated_at), digits(b.updated_at));
    default:
      return (a, b) => sign * order(digits(a.created_at), digits(b.created_at));
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The service compares titles without case and accents, by code point. */
function letters(title: string): string {
  return title.normalize("NFKD").toLowerCase().replace(/\p{M}/gu, "");
}

export function newer(a: Task, b: Task): Task {
  return digits(b.updated_at) > digits(a.updated_at) ? b : a;
}

/** A time of the service has up to six decimals. With all six, times compare as text. */
function digits(time: string): string {
  return time.replace(/(?:\.(\d+))?Z$/, (_, decimals = "") => `.${String(decimals).padEnd(6, "0")}`);
}
