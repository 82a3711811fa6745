/**
 * Faults × outcome, on machines made of namespaces. Runs in a network namespace of its own: it is the machine outside.
 *
 *   npm run test:faults                        everything, three times each; writes docs/faults.md
 *   npm run test:faults -- kill-all disk       only these, or those that begin so; writes nothing
 *   SEED=7 npm run test:faults -- kill-all     as in the run that had that seed
 *   --trials N    --json FILE
 */
import { randomInt } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureTestImages } from "../images/images.ts";
import type { Fault } from "./fault.ts";
import { faults } from "./faults.ts";
import { Machines } from "./machines.ts";
import { withTable } from "./table.ts";
import { runTrial, type Trial } from "./trial.ts";

const DOCS = join(import.meta.dirname, "../../docs/faults.md");
const TRIALS = 3;
/** Of the problems of a trial. */
const SHOWN = 10;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { trials: { type: "string" }, json: { type: "string" } },
    allowPositionals: true,
  });
  if (Object.keys(networkInterfaces()).some((device) => device !== "lo"))
    throw new Error("this would plug cables into the machine's own network; run: npm run test:faults");
  const wanted = faults.filter((f) => positionals.length === 0 || positionals.some((p) => f.name.startsWith(p)));
  const unknown = positionals.find((p) => !faults.some((f) => f.name.startsWith(p)));
  if (unknown !== undefined)
    throw new Error(`there is no fault ${unknown}; there are ${faults.map((f) => f.name).join(", ")}`);
  const first = process.env["SEED"] === undefined ? randomInt(2 ** 30) : Number(process.env["SEED"]);
  const trials = process.env["SEED"] === undefined ? Number(values.trials ?? TRIALS) : 1;
  const run = new Run();
  for (const fault of wanted) for (let n = 0; n < trials; n++) await run.trial(fault, first + n);
  await run.end();
  const { done, left } = run;
  process.stdout.write(left.length === 0 ? "nothing is left behind\n" : `left behind:\n  ${left.join("\n  ")}\n`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ trials: done, left }, undefined, 1)}\n`);
  if (wanted.length === faults.length) writeFileSync(DOCS, withTable(readFileSync(DOCS, "utf8"), done, left));
  const broken = done.filter((t) => t.problems.length > 0);
  process.stdout.write(`${done.length - broken.length} passed, ${broken.length} failed\n`);
  for (const name of new Set(broken.map((t) => `SEED=${t.seed} npm run test:faults -- ${t.fault}`)))
    process.stdout.write(`again: ${name}\n`);
  process.exitCode = broken.length === 0 && left.length === 0 ? 0 : 1;
}

/** Trials on the same machines, as long as they are well again after each. */
class Run {
  readonly done: Trial[] = [];
  readonly left: string[] = [];
  #machines: Machines | undefined;

  async trial(fault: Fault, seed: number): Promise<void> {
    const { sandbox, busybox } = await ensureTestImages();
    const machines = (this.#machines ??= await Machines.start([sandbox, busybox]));
    const trial = await runTrial(machines, fault, seed).catch((error: unknown) => brokenTrial(fault, seed, error));
    this.done.push(trial);
    report(trial);
    if (trial.wholeMs === undefined) await this.end();
  }

  /** Everything is taken down as its owner would, and looked for what is left of it. */
  async end(): Promise<void> {
    const machines = this.#machines;
    this.#machines = undefined;
    if (!machines) return;
    try {
      this.left.push(...(await machines.down()));
    } finally {
      await machines.remove();
    }
  }
}

/** It could not be judged. */
const brokenTrial = ({ name }: Fault, seed: number, error: unknown): Trial => ({
  fault: name,
  seed,
  detail: "",
  problems: [String(error)],
  writePauseMs: 0,
  weakMs: 0,
  wholeMs: undefined,
  calls: { ok: 0, failed: 0, unknown: 0 },
  restarts: [],
});

function report(t: Trial): void {
  const seconds = (ms: number | undefined) => (ms === undefined ? "never" : `${(ms / 1000).toFixed(1)} s`);
  const times = `writes paused ${seconds(t.writePauseMs)}, replicas back after ${seconds(t.weakMs)}, whole ${seconds(t.wholeMs)} after its end`;
  const { ok, failed, unknown } = t.calls;
  const again = t.restarts.length > 0 ? `, started again: ${t.restarts.join(" ")}` : "";
  process.stdout.write(
    `${t.problems.length === 0 ? "✓" : "✗"} ${t.fault} (${t.detail}, seed ${t.seed}): ${times}; ${ok} ok, ${failed} refused, ${unknown} unknown${again}\n`,
  );
  for (const problem of t.problems.slice(0, SHOWN)) process.stdout.write(`    ${problem}\n`);
  if (t.problems.length > SHOWN) process.stdout.write(`    and ${t.problems.length - SHOWN} more\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
