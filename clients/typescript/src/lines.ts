/** The lines of a response that arrives in parts. */

import { ConnectionError } from "./errors.js";
import { abortable } from "./waiting.js";

/** Yield the lines. The connection is closed if the consumer stops early. */
export async function* linesOf(response: Response, signal: AbortSignal | undefined): AsyncGenerator<string, void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      // In Node.js, reading a compressed body may never end after an abort.
      const { done, value } = await abortable(reader.read(), signal).catch((cause) => {
        signal?.throwIfAborted();
        throw new ConnectionError(cause);
      });
      rest += decoder.decode(value, { stream: !done });
      const lines = rest.split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        signal?.throwIfAborted();
        yield line;
      }
      if (done) break;
    }
    if (rest) yield rest;
  } finally {
    reader.cancel().catch(() => {});
  }
}
