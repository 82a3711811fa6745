import { onAbort } from "./controller.ts";

/**
 * Runs loops that live and die together: returns when all have ended, and rejects with the first failure, which
 * aborts the others. No loop is left behind.
 */
export async function together(
  signal: AbortSignal,
  ...loops: readonly ((signal: AbortSignal) => Promise<void>)[]
): Promise<void> {
  const scope = new AbortController();
  using _parent = onAbort(signal, () => scope.abort(signal.reason));
  const results = await Promise.allSettled(
    loops.map(async (loop) => {
      try {
        await loop(scope.signal);
      } catch (error) {
        const failure = scope.signal.aborted ? undefined : error;
        scope.abort(failure);
        if (failure !== undefined) throw failure;
      }
    }),
  );
  const failed = results.find((r) => r.status === "rejected");
  if (failed) throw failed.reason;
}

/** Resolves when the signal aborts; at once if it has. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void onAbort(signal, resolve));
}
