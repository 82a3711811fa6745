import type fc from "fast-check";

/** How `fc.assert` is to run; a failure says how to see it again. */
export const runs = (numRuns: number): fc.Parameters<unknown> => ({ numRuns, interruptAfterTimeLimit: 20_000 });
