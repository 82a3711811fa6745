import type { Clock } from "../util/clock.ts";
import type { LiveResources } from "./resources.ts";
import type { ContainerConfig, ContainerState, LogChunk, LogOptions, RuntimeContainer, Usage } from "./runtime.ts";

/**
 * What a fake container does, told by its own command line, so that a test's Pod says how it behaves:
 *
 *   run --for=5s --exit=1       ends by itself (without --for: runs until stopped)
 *       --log=TEXT              a line on stdout at the start; may be repeated
 *       --oom                   ends as the kernel's OOM killer would end it
 *       --ignore-term           only KILL stops it
 *       --recover-at=N          from attempt N on it ignores --for and --oom and keeps running
 *       --start-error=TEXT      cannot be started
 *       --cpu=0.5 --memory=64   uses so many CPUs and MiB
 *       --disk=64               has written so many MiB
 *   sleep N, true, false        as in a shell; anything else runs until stopped
 */
export interface Script {
  readonly runMs?: number;
  readonly exitCode: number;
  readonly logs: readonly string[];
  readonly oom: boolean;
  readonly ignoreTerm: boolean;
  readonly startError?: string;
  readonly load: Partial<Load>;
}

/** What a container uses while it runs. */
export interface Load {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

const IDLE: Load = { cpus: 0.1, memoryBytes: 2 ** 20, diskBytes: 0 };

export function parseScript(words: readonly string[], attempt: number): Script {
  const forever: Script = { exitCode: 0, logs: [], oom: false, ignoreTerm: false, load: {} };
  const [program, ...rest] = words;
  if (program === "true") return { ...forever, runMs: 0 };
  if (program === "false") return { ...forever, runMs: 0, exitCode: 1 };
  if (program === "sleep") return { ...forever, runMs: Number(rest[0]) * 1000 };
  if (program !== "run") return forever;

  const values = (flag: string) => rest.filter((w) => w.startsWith(`--${flag}=`)).map((w) => w.slice(flag.length + 3));
  const [duration] = values("for");
  const [startError] = values("start-error");
  const [cpus] = values("cpu");
  const [mebibytes] = values("memory");
  const [written] = values("disk");
  const recovered = attempt >= Number(values("recover-at")[0] ?? Infinity);
  const oom = rest.includes("--oom") && !recovered;
  return {
    ...(duration !== undefined && !recovered ? { runMs: milliseconds(duration) } : oom ? { runMs: 0 } : {}),
    exitCode: oom ? 137 : Number(values("exit")[0] ?? 0),
    logs: values("log"),
    oom,
    ignoreTerm: rest.includes("--ignore-term"),
    ...(startError === undefined ? {} : { startError }),
    load: {
      ...(cpus !== undefined && { cpus: Number(cpus) }),
      ...(mebibytes !== undefined && { memoryBytes: Number(mebibytes) * 2 ** 20 }),
      ...(written !== undefined && { diskBytes: Number(written) * 2 ** 20 }),
    },
  };
}

/** `250ms`, `5s`, `2m`. */
export function milliseconds(text: string): number {
  const [, amount, unit] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  if (amount === undefined) throw new Error(`not a duration: ${text}`);
  return Number(amount) * (unit === "ms" ? 1 : unit === "s" ? 1000 : 60_000);
}

/** Wakes everyone who waits for the next change of something. */
export class Change {
  #waiting = new Set<() => void>();

  notify(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Resolves on the next notify, or when the signal aborts. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }
}

type Outcome = Pick<RuntimeContainer, "startedAt" | "finishedAt" | "exitCode" | "oomKilled" | "error">;

/** One container of the fake runtime: a life on the clock and a log. */
export class FakeContainer {
  readonly id: string;
  readonly config: ContainerConfig;
  readonly #clock: Clock;
  readonly #script: Script;
  readonly #createdAt: number;
  readonly #onChange: () => void;
  readonly #change = new Change();
  readonly #log: { at: number; line: string }[] = [];
  #timers: Disposable[] = [];
  #state: ContainerState = "created";
  #outcome: Outcome = {};
  #resources: LiveResources;
  #counted = { at: 0, cpuNanoseconds: 0 };

  constructor(o: { id: string; config: ContainerConfig; clock: Clock; onChange: () => void }) {
    this.id = o.id;
    this.config = o.config;
    this.#clock = o.clock;
    this.#onChange = o.onChange;
    this.#createdAt = o.clock.now();
    const { cpuShares, cpuQuota, memoryBytes } = o.config.resources;
    this.#resources = definedOf({ cpuShares, cpuQuota, memoryBytes });
    this.#script = parseScript([...(o.config.command ?? []), ...(o.config.args ?? [])], o.config.attempt);
  }

  get state(): ContainerState {
    return this.#state;
  }

  /** Gives the reason when it cannot be started. */
  start(): string | undefined {
    if (this.#state !== "created") return undefined;
    const { startError, logs, runMs } = this.#script;
    if (startError !== undefined) {
      this.#end({ finishedAt: this.#createdAt, exitCode: 127, error: startError });
      return startError;
    }
    this.#state = "running";
    this.#outcome = { startedAt: this.#clock.now() };
    for (const line of logs) this.print(line);
    if (runMs !== undefined)
      this.#timers.push(this.#clock.after(runMs, () => this.exit(this.#script.exitCode, this.#script.oom)));
    this.#changed();
    return undefined;
  }

  update(r: LiveResources): void {
    this.#resources = { ...this.#resources, ...r };
    this.#onChange();
  }

  exit(exitCode: number, oomKilled = false): void {
    if (this.#state === "running") this.#end({ ...this.#outcome, finishedAt: this.#clock.now(), exitCode, oomKilled });
  }

  async stop(graceSeconds: number, signal: AbortSignal): Promise<void> {
    if (this.#state !== "running") return;
    if (!this.#script.ignoreTerm) return this.exit(143);
    this.#timers.push(this.#clock.after(graceSeconds * 1000, () => this.exit(137)));
    await this.ended(signal);
    signal.throwIfAborted();
  }

  /** The time since the last look counts as one under this load. */
  usage(load: Partial<Load>): Usage {
    const { cpus, memoryBytes } = { ...IDLE, ...load, ...this.#script.load };
    const now = this.#clock.now();
    const since = Math.max(this.#counted.at, this.#outcome.startedAt ?? now);
    const cpuNanoseconds = this.#counted.cpuNanoseconds + Math.round((now - since) * cpus * 1e6);
    this.#counted = { at: now, cpuNanoseconds };
    return {
      cpuNanoseconds,
      memoryUsageBytes: memoryBytes,
      memoryWorkingSetBytes: memoryBytes,
      memoryRssBytes: memoryBytes,
      processes: 1,
    };
  }

  written(load: Partial<Load>): number {
    return { ...IDLE, ...load, ...this.#script.load }.diskBytes;
  }

  print(line: string): void {
    this.#log.push({ at: this.#clock.now(), line });
    this.#change.notify();
  }

  /** Resolves when it runs no more, or on abort. */
  async ended(signal?: AbortSignal): Promise<void> {
    while (this.#state === "running" && !signal?.aborted) await this.#change.wait(signal);
  }

  async *logs(o: LogOptions, signal: AbortSignal): AsyncGenerator<LogChunk> {
    const { since = 0, tail = Infinity } = o;
    let at = Math.max(0, this.#log.filter((l) => l.at >= since).length - tail);
    for (;;) {
      for (const l of this.#log.filter((entry) => entry.at >= since).slice(at)) {
        if (signal.aborted) return;
        at++;
        const stamp = o.timestamps ? `${new Date(l.at).toISOString()} ` : "";
        yield { stream: "stdout", data: new TextEncoder().encode(`${stamp}${l.line}\n`) };
      }
      if (!o.follow || this.#state !== "running" || signal.aborted) return;
      await this.#change.wait(signal);
    }
  }

  status(imageId: string): RuntimeContainer {
    const { name, attempt, image, specHash } = this.config;
    return {
      id: this.id,
      name,
      attempt,
      state: this.#state,
      image,
      imageId,
      specHash,
      createdAt: this.#createdAt,
      resources: this.#resources,
      ...(this.config.devices && { devices: this.config.devices.allocated }),
      ...this.#outcome,
    };
  }

  /** Gone with the container: no timer outlives it. */
  dispose(): void {
    this.exit(137);
    for (const timer of this.#timers.splice(0)) timer[Symbol.dispose]();
  }

  #end(outcome: Outcome): void {
    this.#state = "exited";
    this.#outcome = outcome;
    for (const timer of this.#timers.splice(0)) timer[Symbol.dispose]();
    this.#changed();
  }

  #changed(): void {
    this.#change.notify();
    this.#onChange();
  }
}

function definedOf(r: { [K in keyof LiveResources]: LiveResources[K] | undefined }): LiveResources {
  return Object.fromEntries(Object.entries(r).filter(([, v]) => v !== undefined));
}
