/**
 * Where the chance of a test comes from. Every run of it can be had again: a failure ends with the command for that, and
 * `SEED=n` makes all of them use that seed alone.
 */
import { expect, test } from "@jest/globals";
import { randomInt } from "node:crypto";
import { relative } from "node:path";

const given = process.env["SEED"];

/** One test for each seed from 1 to `count`. */
export function testSeeds(
  title: string,
  count: number,
  run: (seed: number) => Promise<void>,
  timeoutMs?: number,
): void {
  const seeds = given === undefined ? Array.from({ length: count }, (_, n) => n + 1) : [Number(given)];
  for (const seed of seeds) testSeed(title, seed, run, timeoutMs);
}

/** One test with a seed that no run before it had. */
export function testNewSeed(title: string, run: (seed: number) => Promise<void>, timeoutMs?: number): void {
  testSeed(title, given === undefined ? randomInt(2 ** 31) : Number(given), run, timeoutMs);
}

function testSeed(title: string, seed: number, run: (seed: number) => Promise<void>, timeoutMs?: number): void {
  test(`${title} (seed ${seed})`, () => assertPasses(seed, run), timeoutMs);
}

/** What fails is thrown on with the command that makes it fail again. */
async function assertPasses(seed: number, run: (seed: number) => Promise<void>): Promise<void> {
  try {
    await run(seed);
  } catch (error) {
    if (error instanceof Error) error.message += `\n\n${replay(seed)}`;
    throw error;
  }
}

/** `again: SEED=7 npm test -- unit test/simulated/faults.test.ts` of the test that runs now. */
export function replay(seed: number): string {
  const { testPath = "" } = expect.getState();
  const stage = testPath.includes("/scenarios/") ? "scenario" : "unit";
  return `again: SEED=${seed} npm test -- ${stage} ${relative(process.cwd(), testPath)}`;
}
