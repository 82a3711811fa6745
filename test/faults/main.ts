/**
 * Faults × outcome, on machines made of namespaces. Runs in a network namespace of its own: it is the machine outside.
 *
 *   npm run test:faults                        everything, three times each; writes docs/faults.md
 *   npm run test:faults -- kill-all disk       only these, or those that begin so; writes nothing
 *   SEED=7 npm run test:faults -- kill-all     as in the run that had that seed
 *   --trials N    --json FILE
 */
import { randomInt } from "node:crypto";
import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureTestImages } from "../images/images.ts";
import { faults } from "./faults.ts";
import { Machines } from "./machines.ts";
import { withTable } from "./table.ts";
import { runTrial, type Trial } from "./trial.ts";

const DOCS = join(import.meta.dirname, "../../docs/faults.md");
const TRIALS = 3;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { trials: { type: "string" }, json: { type: "string" } },
    allowPositionals: true,
  });
  if (readlinkSync("/proc/self/ns/net") === readlinkSync("/proc/1/ns/net"))
    throw new Error("this would plug cables into the machine's own network; run: npm run test:faults");
  const wanted = faults.filter((f) => positionals.length === 0 || positionals.some((p) => f.name.startsWith(p)));
  const unknown = positionals.find((p) => !faults.some((f) => f.name.startsWith(p)));
  if (unknown !== undefined)
    throw new Error(`there is no fault ${unknown}; there are ${faults.map((f) => f.name).join(", ")}`);
  const first = process.env["SEED"] === undefined ? randomInt(2 ** 30) : Number(process.env["SEED"]);
  const trials = process.env["SEED"] === undefined ? Number(values.trials ?? TRIALS) : 1;
  const done: Trial[] = [];
  const left = await onMachines(async (machines) => {
    for (const fault of wanted) {
      for (let n = 0; n < trials; n++) {
        const trial = await runTrial(machines, fault, first + n);
        done.push(trial);
        report(trial);
      }
    }
  });
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

/** What is left when they are down again. */
async function onMachines(run: (m: Machines) => Promise<void>): Promise<string[]> {
  const { sandbox, busybox } = await ensureTestImages();
  const machines = await Machines.start([sandbox, busybox]);
  try {
    await run(machines);
    return await machines.down();
  } finally {
    await machines.remove();
  }
}

function report(t: Trial): void {
  const seconds = (ms: number | undefined) => (ms === undefined ? "never" : `${(ms / 1000).toFixed(1)} s`);
  const times = `writes paused ${seconds(t.writePauseMs)}, replicas back after ${seconds(t.weakMs)}, whole ${seconds(t.wholeMs)} after its end`;
  const { ok, failed, unknown } = t.calls;
  const again = t.restarts.length > 0 ? `, started again: ${t.restarts.join(" ")}` : "";
  process.stdout.write(
    `${t.problems.length === 0 ? "✓" : "✗"} ${t.fault} (${t.detail}, seed ${t.seed}): ${times}; ${ok} ok, ${failed} refused, ${unknown} unknown${again}\n`,
  );
  for (const problem of t.problems) process.stdout.write(`    ${problem}\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
