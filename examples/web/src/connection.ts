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

/** Statuses of a service, or of a gateway before it, that is not available just now. */
export const UNAVAILABLE: readonly number[] = [502, 503, 504];

const SHORTEST_PAUSE = 1_000;
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
  const limited = response.status === 429;
  if (limited || UNAVAILABLE.includes(response.status)) {
    obstacle.set({ kind: limited ? "limited" : "unavailable", until: Date.now() + pauseAfter(response) });
  } else {
    failures = 0;
    obstacle.set(null);
  }
}

/** The milliseconds that a response asks to wait, in seconds or as a date. */
function pauseAfter(response: Response): number {
  const value = response.headers.get("Retry-After") ?? "";
  const pause = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return pause > SHORTEST_PAUSE ? pause : SHORTEST_PAUSE;
}

export function noteUnreachable(): void {
  failures += 1;
  obstacle.set({ kind: "unreachable", until: Date.now() + Math.min(500 * 2 ** failures, LONGEST_PAUSE) });
}
