import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { useClient } from "./api";
import { authClient, failureOf } from "./auth/client";
import { useStore } from "./store";
import { PROFILE, putTask } from "./tasks/cache";
import { Composer, NO_TEXT } from "./tasks/Composer";
import { DraftList } from "./tasks/DraftList";
import { Outbox } from "./tasks/outbox";
import { type Editing, isChanged } from "./tasks/TaskEditor";
import type { TaskText } from "./tasks/TaskFields";
import { TaskList } from "./tasks/TaskList";
import { Toolbar } from "./tasks/Toolbar";
import { ConnectionBanner } from "./ui/ConnectionBanner";
import { Logo } from "./ui/icons";
import { Menu } from "./ui/Menu";
import { ThemeButton } from "./ui/theme";
import { Toasts, useToast } from "./ui/toasts";
import { useView } from "./view";

interface User {
  id: string;
  name: string;
  email: string;
}

function useOutbox(userId: string): Outbox {
  const cache = useQueryClient();
  const client = useClient();
  const [outbox] = useState(
    () =>
      new Outbox(userId, client, {
        onSent: (task) => putTask(cache, task),
        onPause: () => void cache.invalidateQueries({ queryKey: PROFILE }),
        onSentElsewhere: () => void cache.invalidateQueries(),
      }),
  );
  useEffect(() => {
    outbox.open();
    void outbox.send();
    return () => outbox.close();
  }, [outbox]);
  return outbox;
}

/** Let the browser ask before it discards a text that is not saved. */
function useLeaveQuestion(unsaved: boolean): void {
  useEffect(() => {
    if (!unsaved) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [unsaved]);
}

export function Workspace({ user }: { user: User }) {
  const [view, setView] = useView();
  const outbox = useOutbox(user.id);
  const drafts = useStore(outbox.drafts);
  const [text, setText] = useState(NO_TEXT);
  const [editing, setEditing] = useState<Editing | null>(null);
  useLeaveQuestion(Boolean(text.title || text.description || (editing && isChanged(editing))));
  const add = useCallback(({ title, description }: TaskText) => void outbox.add(title, description || null), [outbox]);
  const send = useCallback(() => void outbox.send(), [outbox]);
  const inTrash = view.status === "trashed";
  return (
    <>
      <a className="skip-link" href="#tasks">
        Skip to the tasks
      </a>
      <header className="header">
        <div className="header-content">
          <Logo />
          <h1>Tasks</h1>
          <ThemeButton />
          <Account user={user} />
        </div>
      </header>
      <main className="main">
        <Composer text={text} onText={setText} outbox={outbox} />
        <Toolbar view={view} onView={setView} />
        <div id="tasks" tabIndex={-1}>
          {!inTrash && <DraftList drafts={drafts} outbox={outbox} onEdit={setText} />}
          <TaskList key={`${view.status} ${view.sort}`} {...view} waiting={drafts.length} editing={editing} onEditing={setEditing} onAdd={add} />
        </div>
      </main>
      <ConnectionBanner waiting={drafts.filter((draft) => !draft.errors).length} onRecovered={send} />
      <Toasts />
    </>
  );
}

function Account({ user }: { user: User }) {
  const toast = useToast();
  async function signOut() {
    const failure = await failureOf(authClient.signOut());
    if (failure) toast(`You are still signed in: ${failure.message}`);
  }
  const [initial = ""] = user.name;
  return (
    <Menu label={`Account of ${user.name}`} icon={<span className="avatar">{initial.toUpperCase()}</span>}>
      <p className="menu-text">
        <strong>{user.name}</strong>
        <span className="muted">{user.email}</span>
      </p>
      <button type="button" className="menu-item" onClick={() => void signOut()}>
        Sign out
      </button>
    </Menu>
  );
}
