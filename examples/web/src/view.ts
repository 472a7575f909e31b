import type { TaskSort, TaskStatus } from "./api";
import { Store, useStore } from "./store";

export interface View {
  status: TaskStatus;
  sort: TaskSort;
}

const STATUSES: readonly string[] = ["all", "pending", "completed", "trashed"] satisfies TaskStatus[];
const SORTS: readonly string[] = ["created", "-created", "title", "-title", "updated", "-updated"] satisfies TaskSort[];

function ofAddress(): View {
  const query = new URLSearchParams(location.search);
  const [status, sort] = [query.get("status") ?? "", query.get("sort") ?? ""];
  return {
    status: STATUSES.includes(status) ? (status as TaskStatus) : "all",
    sort: SORTS.includes(sort) ? (sort as TaskSort) : "-created",
  };
}

export const addressOf = ({ status, sort }: View) => `?${new URLSearchParams({ status, sort })}`;

const view = new Store(ofAddress());
addEventListener("popstate", () => view.set(ofAddress()));

/** What the page shows is in its address, so that it can be linked to, and "back" works. */
export function useView(): [View, (next: View) => void] {
  return [
    useStore(view),
    (next) => {
      history.pushState(null, "", addressOf(next));
      view.set(next);
      scrollTo({ top: 0 });
    },
  ];
}
