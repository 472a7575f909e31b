/** Waits that an `AbortSignal` ends. */

type Signal = AbortSignal | undefined;

/** Settle as `promise` does, or reject with the reason of `signal` if it is aborted first. */
export function abortable<Value>(promise: Promise<Value>, signal: Signal): Promise<Value> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Resolve after some milliseconds. */
export async function pause(milliseconds: number, signal: Signal): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await abortable(elapsed, signal).finally(() => clearTimeout(timer));
}
