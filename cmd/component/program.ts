/**
 * A program around one component: flags, log, health page, signals and exit code.
 *
 *  P1  SIGTERM and SIGINT ask it to stop in good order; within 10 s it has, or is ended. A second one ends it at once.
 *  P2  It exits with 0 exactly if it was asked to stop, and did. What hinders it is one line, with what to do.
 */
import { setMaxListeners } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { Command, CommanderError } from "commander";
import type { Check } from "../../pkg/apiserver/health.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { own } from "../../pkg/util/keys.ts";
import type { Logger } from "../../pkg/util/log.ts";
import { Metrics, processMetrics } from "../../pkg/util/metrics.ts";
import { openLog } from "./log.ts";
import { levelBySignals, LogLevels } from "./log-levels.ts";
import { serveObserve } from "./observe.ts";

export interface CommonFlags {
  readonly logLevel: string;
  readonly observeAddress: string;
}

export interface Running {
  /** Aborts when the program is to stop. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly level: LogLevels;
  readonly metrics: Metrics;
  readonly env: NodeJS.ProcessEnv;
  /** From now on it tells how it is, at `--observe-address`. */
  readonly observe: (checks: readonly Check[]) => Promise<void>;
}

export interface Program<Flags> {
  /** `mini-kube-scheduler` */
  readonly name: string;
  readonly summary: string;
  /** Where health and metrics are served unless the user says otherwise. */
  readonly observeAddress: string;
  readonly examples: readonly string[];
  define(command: Command): unknown;
  /** Resolves when it has stopped because it was asked to; whatever else ends it is a failure. */
  run(flags: Flags & CommonFlags, running: Running): Promise<void>;
}

const STOP_MS = 10_000;
const EXIT_ENDED = 1;
const SIGNALS: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

/** Runs it with the arguments of this process, to its end; sets the exit code. */
export async function runProgram<Flags extends object>(p: Program<Flags>): Promise<void> {
  const command = new Command(p.name).description(p.summary).exitOverride();
  command.showHelpAfterError(`(see: ${p.name} --help)`);
  p.define(command);
  command
    .option("--observe-address <host:port>", "where health and metrics are served, without TLS", p.observeAddress)
    .option("--log-level <level>", "debug, info, warn or error; of a part: scheduler=debug", "info")
    .addHelpText("after", `\nExamples:\n${p.examples.map((e) => `  ${e}\n`).join("")}`);
  try {
    command.parse();
    await run(p, command.opts<Flags & CommonFlags>());
    process.exitCode = 0;
  } catch (error) {
    process.exitCode = exitCodeOf(error, p.name);
  }
  // Whatever is left open is nobody's any more.
  process.exit();
}

function exitCodeOf(error: unknown, name: string): number {
  // It has said what is wrong; or it was asked for help.
  if (error instanceof CommanderError) return error.exitCode;
  const text = error instanceof Error ? error.message : String(error);
  const hint = error instanceof UsageError ? `\n(see: ${name} --help)` : "";
  process.stderr.write(`error: ${text.replace(/^error: /, "")}${hint}\n`);
  return EXIT_ENDED;
}

async function run<Flags extends object>(p: Program<Flags>, flags: Flags & CommonFlags): Promise<void> {
  // One signal ends a component, and each of its calls under way listens to it: many listeners are no leak here.
  setMaxListeners(0);
  const level = new LogLevels(flags.logLevel);
  const log = openLog({ level });
  const metrics = new Metrics();
  processMetrics(metrics, performance.timeOrigin / 1000);
  const stop = new AbortController();
  using _alive = stayAlive();
  using _signals = stopBySignals(stop, log);
  using _levels = levelBySignals(level, log);
  const observe = async (checks: readonly Check[]) => {
    await serveObserve({ address: flags.observeAddress, checks, metrics, log, level });
  };
  log.info({ program: p.name, pid: process.pid }, "started");
  try {
    await p.run(flags, { signal: stop.signal, log, level, metrics, env: process.env, observe });
    if (!stop.signal.aborted) throw new Error(`${p.name} ended unasked; its log says more`);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    log.debug({ err: error }, "cut short");
  }
  log.info({ program: p.name }, "stopped");
}

/** One that waits to lead may hold nothing but timers, and those of a Clock keep no process alive. */
function stayAlive(): Disposable {
  const { port1 } = new MessageChannel();
  port1.ref();
  return { [Symbol.dispose]: () => port1.close() };
}

function stopBySignals(stop: AbortController, log: Logger): Disposable {
  let late: Disposable | undefined;
  const on = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(own(SIGNALS, signal));
    log.info({ signal }, "stopping");
    late = systemClock.after(STOP_MS, () => {
      process.stderr.write(`error: it did not stop within ${STOP_MS / 1000} s and is ended\n`);
      process.exit(EXIT_ENDED);
    });
    stop.abort(new Error("the program is stopping"));
  };
  for (const signal of Object.keys(SIGNALS)) process.on(signal, on);
  return {
    [Symbol.dispose]: () => {
      late?.[Symbol.dispose]();
      for (const signal of Object.keys(SIGNALS)) process.off(signal, on);
    },
  };
}
