/** Who led when, by what the replicas write into their logs; read as it is written, so that one clock stamps all. */
import { closeSync, openSync, readSync } from "node:fs";
import type { Term } from "./invariants.ts";

const POLL_MS = 20;

interface Line {
  readonly msg?: string;
  readonly lease?: string;
  readonly identity?: string;
}

export class LeaderTerms {
  readonly #ended: Term[] = [];
  readonly #leading = new Map<string, Term>();
  readonly #timer: NodeJS.Timeout;
  readonly #files = new Map<string, { fd: number; rest: string }>();

  /** `logs`: file by replica. */
  constructor(logs: ReadonlyMap<string, string>) {
    for (const [replica, path] of logs) this.#files.set(replica, { fd: openSync(path, "r"), rest: "" });
    this.#timer = setInterval(() => this.#look(), POLL_MS);
  }

  /** Who leads that component now, by its own word. */
  leader(component: string): string | undefined {
    this.#look();
    return [...this.#leading.values()].find((t) => t.component === component)?.replica;
  }

  /** All its terms end: it was killed, and says nothing more. */
  killed(replica: string): void {
    this.#look();
    for (const key of this.#leading.keys()) if (key.startsWith(`${replica} `)) this.#end(key);
  }

  /** Up to now. */
  terms(): readonly Term[] {
    this.#look();
    const end = performance.now();
    return [...this.#ended, ...[...this.#leading.values()].map((t) => ({ ...t, end }))];
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { fd } of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }

  #look(): void {
    for (const [replica, file] of this.#files) {
      const lines = (file.rest + readOn(file.fd)).split("\n");
      file.rest = lines.pop() ?? "";
      for (const line of lines) if (line.includes('"lease"')) this.#hear(replica, JSON.parse(line) as Line);
    }
  }

  #hear(replica: string, { msg, lease = "" }: Line): void {
    const key = `${replica} ${lease}`;
    const component = lease.replace(/^.*\//, "");
    const start = performance.now();
    if (msg === "leads") this.#leading.set(key, { component, replica, start, end: start });
    if (msg === "leads no more") this.#end(key);
  }

  #end(key: string): void {
    const term = this.#leading.get(key);
    this.#leading.delete(key);
    if (term) this.#ended.push({ ...term, end: performance.now() });
  }
}

/** What was added to the file since it was last read. */
function readOn(fd: number): string {
  const buffer = Buffer.alloc(65_536);
  let text = "";
  for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) text += buffer.toString("utf8", 0, n);
  return text;
}
