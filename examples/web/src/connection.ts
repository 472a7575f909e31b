import { Store } from "./store";

/** Why requests fail for now, and when the next attempt is due (milliseconds since the epoch). */
export interface Obstacle {
  kind: "limited" | "unavailable" | "unreachable";
  until: number;
}

export const online = new Store(navigator.onLine);
export const obstacle = new Store<Obstacle | null>(null);

addEventListener("online", () => {
  online.set(true);
  obstacle.set(null);
});
addEventListener("offline", () => online.set(false));

const LONGEST_PAUSE = 8_000;
let failures = 0;

/** `fetch`, which notes what each response says about the connection and the rate limit. */
export async function watchedFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  try {
    const response = await fetch(input, init);
    note(response);
    return response;
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) noteUnreachable();
    throw error;
  }
}

function note(response: Response): void {
  if (response.status === 429 || response.status === 503) {
    const seconds = Number(response.headers.get("Retry-After") ?? 1);
    obstacle.set({
      kind: response.status === 429 ? "limited" : "unavailable",
      until: Date.now() + Math.max(1, seconds) * 1000,
    });
  } else {
    failures = 0;
    obstacle.set(null);
  }
}

export function noteUnreachable(): void {
  failures += 1;
  obstacle.set({ kind: "unreachable", until: Date.now() + Math.min(500 * 2 ** failures, LONGEST_PAUSE) });
}
