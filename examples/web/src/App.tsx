import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { forgetUser, TasksApiError } from "./api";
import { authClient, SignedOutError } from "./auth/client";
import { SignIn } from "./auth/SignIn";
import { noteUnreachable } from "./connection";
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
  useEffect(() => {
    if (!failed) return;
    noteUnreachable();
    const timer = setTimeout(() => void refetch(), 1_000);
    return () => clearTimeout(timer);
  }, [failed, refetch, error]);
  if (data) return <SignedIn key={data.user.id} user={data.user} />;
  if (isPending || failed) return <main className="blank" aria-busy="true" aria-label="Loading" />;
  return <SignIn />;
}

function SignedIn({ user }: { user: { id: string; name: string; email: string } }) {
  const [client] = useState(newQueryClient);
  useEffect(
    () =>
      client.getQueryCache().subscribe(({ query }) => {
        if (query.state.error instanceof SignedOutError) authClient.$store.notify("$sessionSignal");
      }),
    [client],
  );
  // The token of this user is nobody else's.
  useEffect(() => forgetUser, []);
  return (
    <QueryClientProvider client={client}>
      <Workspace user={user} />
    </QueryClientProvider>
  );
}
