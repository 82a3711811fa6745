/** A watch on the wire: one JSON object a line, written only as fast as the client reads. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { ResourceDef } from "../api/resource.ts";
import type { Clock } from "../util/clock.ts";
import type { Notice } from "./entry.ts";
import type { View } from "./answers.ts";
import { partialObject, tableOf } from "./print.ts";
import { apiErrorOf } from "./storage.ts";
import type { Watcher } from "./watcher.ts";

const PIECE_BYTES = 64 * 1024;

interface StreamedWatch {
  readonly def: ResourceDef;
  readonly watcher: Watcher;
  readonly view: View;
  /** Throws when the client may hear no more. */
  readonly check: () => void;
}

export async function streamWatch(
  res: ServerResponse,
  { def, watcher, view, check }: StreamedWatch,
  clock: Pick<Clock, "now">,
): Promise<void> {
  const gone = new AbortController();
  res.once("close", () => gone.abort());
  res.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-cache, private" });
  // Clients wait for the headers before there is any event.
  res.flushHeaders();
  const lineOf = liner(def, view, clock);
  try {
    for await (const batch of watcher.batches(gone.signal)) {
      check();
      for (const piece of pieces(batch, lineOf)) {
        if (!res.write(piece)) await once(res, "drain", { signal: gone.signal });
      }
    }
  } catch (error) {
    if (gone.signal.aborted) return;
    res.write(`${JSON.stringify({ type: "ERROR", object: apiErrorOf(error).toStatus() })}\n`);
  }
  res.end();
}

/** Few writes for many notices, yet no piece much larger than a socket takes at once. */
function* pieces(batch: readonly Notice[], lineOf: (n: Notice) => readonly Buffer[]): Generator<Buffer, void, void> {
  let [parts, size]: [Buffer[], number] = [[], 0];
  for (const notice of batch) {
    const line = lineOf(notice);
    parts.push(...line);
    size += line.reduce((sum, part) => sum + part.length, 0);
    if (size < PIECE_BYTES) continue;
    yield Buffer.concat(parts);
    [parts, size] = [[], 0];
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}

/** How a notice is written: shared bytes for plain objects, made for this client otherwise. */
function liner(def: ResourceDef, { form, include }: View, clock: Pick<Clock, "now">): (n: Notice) => readonly Buffer[] {
  if (form.as === "Object") return (n) => n.line;
  let columns = true;
  return ({ type, entry }) => {
    const { object } = entry;
    const metadata = { resourceVersion: entry.revision.toString() };
    const rows = type === "BOOKMARK" ? [] : [object];
    const shown =
      form.as === "Table"
        ? tableOf(def, rows, metadata, { now: clock.now(), include, version: form.version, columns })
        : partialObject(object, form.version);
    columns &&= rows.length === 0;
    return [Buffer.from(`${JSON.stringify({ type, object: shown })}\n`)];
  };
}
