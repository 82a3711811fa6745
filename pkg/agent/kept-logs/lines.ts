/** A log as lines in a file, in the form that Kubernetes' container runtimes write: `TIME STREAM F TEXT`. Pure. */
import type { LogChunk, LogOptions } from "../../runtime/runtime.ts";

export interface LogLine {
  /** RFC 3339 with nanoseconds, as the runtime has it. */
  readonly time: string;
  readonly stream: LogChunk["stream"];
  readonly text: string;
  /** With a line feed at its end: only the last line of a stream may lack it. */
  readonly whole: boolean;
}

/** Puts lines together from what a runtime gives with timestamps: pieces of two streams, cut anywhere. */
export class LineReader {
  readonly #rest: Record<LogChunk["stream"], Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  *read({ stream, data }: LogChunk): Generator<LogLine> {
    let rest = Buffer.concat([this.#rest[stream], data]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield lineOf(stream, rest.subarray(0, end), true);
      rest = rest.subarray(end + 1);
    }
    this.#rest[stream] = rest;
  }

  /** What was never ended. */
  *end(): Generator<LogLine> {
    for (const stream of ["stdout", "stderr"] as const) {
      const rest = this.#rest[stream];
      if (rest.length > 0) yield lineOf(stream, rest, false);
    }
  }
}

function lineOf(stream: LogChunk["stream"], bytes: Buffer, whole: boolean): LogLine {
  const line = bytes.toString();
  const space = line.indexOf(" ");
  return { time: line.slice(0, Math.max(0, space)), stream, text: line.slice(space + 1), whole };
}

export function written(l: LogLine): string {
  return `${l.time} ${l.stream} ${l.whole ? "F" : "P"} ${l.text}\n`;
}

export function parseWritten(content: string): LogLine[] {
  return content.split("\n").flatMap((line) => {
    const m = /^(\S+) (stdout|stderr) ([FP]) ([^]*)$/.exec(line);
    if (!m) return [];
    const [, time = "", stream, tag, text = ""] = m;
    return [{ time, stream: stream === "stderr" ? "stderr" : "stdout", text, whole: tag === "F" }];
  });
}

/** What of a whole log is asked for, as it is to be sent. */
export function selected(
  lines: readonly LogLine[],
  o: LogOptions & { readonly only?: LogChunk["stream"] | undefined },
): string {
  const young = lines.filter((l) => o.since === undefined || Date.parse(l.time) >= o.since);
  const wanted = young.filter((l) => o.only === undefined || l.stream === o.only);
  // slice(-0) would be all of them.
  const last = o.tail === undefined ? wanted : wanted.slice(Math.max(0, wanted.length - o.tail));
  return last.map((l) => `${o.timestamps ? `${l.time} ` : ""}${l.text}${l.whole ? "\n" : ""}`).join("");
}
