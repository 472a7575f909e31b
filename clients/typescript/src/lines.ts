/** The lines of a response that arrives in parts. */

import { ConnectionError } from "./errors.js";

/** Yield the lines. The connection is closed if the consumer stops early. */
export async function* linesOf(response: Response, signal: AbortSignal | undefined): AsyncGenerator<string, void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause) => {
        signal?.throwIfAborted();
        throw new ConnectionError(cause);
      });
      rest += decoder.decode(value, { stream: !done });
      const lines = rest.split("\n");
      rest = lines.pop()!;
      yield* lines;
      if (done) break;
    }
    if (rest) yield rest;
  } finally {
    await reader.cancel().catch(() => {});
  }
}
