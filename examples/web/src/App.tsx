import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { ClientProvider, newClient, TasksApiError } from "./api";
import { authClient, forgetToken, SignedOutError } from "./auth/client";
import { SignIn } from "./auth/SignIn";
import { noteUnreachable } from "./connection";
import { ToastProvider } from "./ui/toasts";
import { Workspace } from "./Workspace";

/** A request is repeated by the banner (see ui/ConnectionBanner), but for a token whose key the issuer has withdrawn. */
function newQueryClient(): QueryClient {
  const retry = (failures: number, error: Error) =>
    failures === 0 && error instanceof TasksApiError && error.status === 401;
  return new QueryClient({
    defaultOptions: {
      queries: { retry, retryDelay: 0, staleTime: 5_000, networkMode: "always" },
      mutations: { retry, retryDelay: 0, networkMode: "always" },
    },
  });
}

export function App() {
  const { data, isPending, error, refetch } = authClient.useSession();
  const failed = Boolean(error) && error?.status !== 401;
  // A form stays when the session is asked for again.
  const [known, setKnown] = useState(false);
  useEffect(() => setKnown((before) => before || (!isPending && !failed)), [isPending, failed]);
  useEffect(() => {
    if (!failed) return;
    noteUnreachable();
    const timer = setTimeout(() => void refetch(), 1_000);
    return () => clearTimeout(timer);
  }, [failed, refetch, error]);
  if (data) return <SignedIn key={data.user.id} user={data.user} />;
  if (known) return <SignIn />;
  return (
    <main className="blank" aria-busy="true" aria-label="Loading">
      {failed && <p role="status">The page's server cannot be reached. Trying again …</p>}
    </main>
  );
}

/** Lists, client and messages are this user's, and nobody else's after them. */
function SignedIn({ user }: { user: { id: string; name: string; email: string } }) {
  const [cache] = useState(newQueryClient);
  const [client] = useState(() => newClient(user.id));
  useEffect(
    () =>
      cache.getQueryCache().subscribe(({ query }) => {
        if (query.state.error instanceof SignedOutError) authClient.$store.notify("$sessionSignal");
      }),
    [cache],
  );
  useEffect(() => forgetToken, []);
  return (
    <QueryClientProvider client={cache}>
      <ClientProvider value={client}>
        <ToastProvider>
          <Workspace user={user} />
        </ToastProvider>
      </ClientProvider>
    </QueryClientProvider>
  );
}
