/**
 * What Pods that are gone have said: written when their containers are removed, kept for a bounded time and size.
 *
 *  L1  It never hinders a removal: what cannot be written is logged and lost.
 *  L2  A container that printed nothing costs one look at a directory, and no call to the runtime.
 *  L3  What is found on disk at the start counts as before.
 */
import { mkdir, readdir, readFile, rm, rmdir, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import type { ContainerRuntime, RuntimeContainer } from "../../runtime/runtime.ts";
import type { Clock } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import { withinLimit } from "../time-limit.ts";
import { LineReader, type LogLine, parseWritten, written } from "./lines.ts";
import { type KeptLog, type KeptLogSettings, planExpiry } from "./plan.ts";

export interface KeptLogsOptions {
  readonly runtime: Pick<ContainerRuntime, "logs" | "logSize">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly directory: string;
  readonly settings: KeptLogSettings;
}

/** Of whom something is removed. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** More is not read from the runtime; a line has seldom less than 50 bytes. */
const MAX_LINES = 20_000;
const KEEP_LIMIT_MS = 10_000;
const EXPIRY_MS = 600_000;

export class KeptLogs {
  readonly #o: KeptLogsOptions;
  /** By file. */
  readonly #logs = new Map<string, KeptLog>();

  constructor(o: KeptLogsOptions) {
    this.#o = o;
  }

  /** Those that an earlier agent has kept. Never fails. */
  async load(): Promise<void> {
    const { directory, log } = this.#o;
    try {
      const found = await readdir(directory, { recursive: true, withFileTypes: true });
      for (const entry of found.filter((f) => f.isFile())) await this.#index(join(entry.parentPath, entry.name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") log.warn({ err: error }, "kept logs not found again");
    }
    await this.expire();
  }

  /** Clears away what has had its time, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.load();
    while (!signal.aborted) {
      await this.#o.clock.sleep(EXPIRY_MS, signal).catch(() => {}); // an abort; the loop sees it
      if (!signal.aborted) await this.expire();
    }
  }

  list(of: { readonly namespace?: string | undefined; readonly pod?: string | undefined } = {}): readonly KeptLog[] {
    const { namespace, pod } = of;
    return [...this.#logs.values()].filter(
      (l) => (namespace === undefined || l.namespace === namespace) && (pod === undefined || l.pod === pod),
    );
  }

  /** Before the container is removed. Never rejects but by the signal. */
  async keep(pod: PodName, c: RuntimeContainer, signal: AbortSignal): Promise<void> {
    const { clock, log, runtime, settings } = this.#o;
    if (settings.maxBytes === 0 || c.startedAt === undefined) return;
    try {
      if ((await runtime.logSize(c.id)) === 0) return;
      const limit = { clock, ms: KEEP_LIMIT_MS, what: "logs", signal };
      const lines = await withinLimit(limit, (s) => this.#read(c.id, s));
      if (lines.length > 0) await this.#write(this.#fileOf(pod, c), lines.map(written).join(""));
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, pod, container: c.name }, "log of a removed container not kept");
    }
    await this.expire();
  }

  async lines(l: KeptLog): Promise<LogLine[]> {
    const { namespace, pod: name, uid, container, attempt } = l;
    const file = this.#fileOf({ namespace, name, uid }, { name: container, attempt });
    return parseWritten(await readFile(file, "utf8"));
  }

  async expire(): Promise<void> {
    const { clock, settings } = this.#o;
    const over = new Set(planExpiry(this.list(), settings, clock.now()));
    for (const [file, log] of this.#logs) if (over.has(log)) await this.#remove(file);
  }

  /** Its end, as much as may be kept. */
  async #read(id: string, signal: AbortSignal): Promise<LogLine[]> {
    const lines: LogLine[] = [];
    let bytes = 0;
    const add = (line: LogLine) => {
      lines.push(line);
      bytes += Buffer.byteLength(written(line));
      for (; bytes > this.#o.settings.maxLogBytes && lines.length > 1; lines.shift())
        bytes -= Buffer.byteLength(written(lines[0] ?? line));
    };
    const reader = new LineReader();
    for await (const chunk of this.#o.runtime.logs(id, { tail: MAX_LINES, timestamps: true }, signal))
      for (const line of reader.read(chunk)) add(line);
    for (const line of reader.end()) add(line);
    signal.throwIfAborted();
    return lines;
  }

  async #write(file: string, content: string): Promise<void> {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, content, { mode: 0o600 });
    const now = this.#o.clock.now() / 1000;
    await utimes(file, now, now);
    await this.#index(file);
  }

  #fileOf(pod: PodName, c: Pick<RuntimeContainer, "name" | "attempt">): string {
    return join(this.#o.directory, pod.namespace, pod.name, pod.uid, `${c.name}.${c.attempt}.log`);
  }

  async #index(file: string): Promise<void> {
    const [namespace, pod, uid, name = "", ...more] = relative(this.#o.directory, file).split(sep);
    const [, container, attempt] = /^(.+)\.(\d+)\.log$/.exec(name) ?? [];
    if (namespace === undefined || pod === undefined || uid === undefined || container === undefined || more.length > 0)
      return;
    const { mtimeMs, size } = await stat(file);
    const about = { namespace, pod, uid, container, attempt: Number(attempt) };
    this.#logs.set(file, { ...about, endedAt: Math.round(mtimeMs), sizeBytes: size });
  }

  /** With directories that become empty. */
  async #remove(file: string): Promise<void> {
    this.#logs.delete(file);
    await rm(file, { force: true }).catch((error: unknown) => this.#o.log.warn({ err: error, file }, "not removed"));
    for (let dir = dirname(file); dir !== this.#o.directory; dir = dirname(dir)) {
      if (
        !(await rmdir(dir).then(
          () => true,
          () => false,
        ))
      )
        return; // others are in it
    }
  }
}
