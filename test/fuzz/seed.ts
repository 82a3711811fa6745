/** Where the chance of a run comes from: printed in the names of its tests, and repeated with FUZZ_SEED=… */
import type fc from "fast-check";

export const seed: number = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** How `fc.assert` is to run; a failure names the seed and the path to the smallest case. */
export const runs = (numRuns: number): fc.Parameters<unknown> => ({ seed, numRuns, interruptAfterTimeLimit: 20_000 });
