import type { Readable } from "node:stream";
import type { LogChunk } from "../runtime.ts";

const HEADER = 8;

/**
 * What comes out of a container. Without a terminal Docker sends stdout and stderr in frames (one byte of stream, three
 * unused, four of length); with one it sends plain bytes.
 *
 * Reads on only when asked for more, and passes parts of a frame on as they come: memory stays at one chunk however
 * large the output or slow the reader. Ends with the stream, and without error when it was destroyed on purpose.
 */
export async function* chunks(stream: Readable, o: { tty: boolean; signal: AbortSignal }): AsyncGenerator<LogChunk> {
  const demultiplex = o.tty ? plain : framed();
  try {
    for await (const data of stream as AsyncIterable<Buffer>) {
      for (const chunk of demultiplex(data)) {
        if (o.signal.aborted) return;
        yield chunk;
      }
    }
  } catch (e) {
    if (!stream.destroyed || !(o.signal.aborted || isClosed(e))) throw e;
  } finally {
    stream.destroy();
  }
}

function* plain(data: Buffer): Generator<LogChunk> {
  yield { stream: "stdout", data };
}

/** A demultiplexer with its state: within a frame, or gathering the next header. */
export function framed(): (data: Buffer) => Generator<LogChunk> {
  let header = Buffer.alloc(0);
  let stream: LogChunk["stream"] = "stdout";
  let left = 0;
  return function* (data) {
    while (data.length > 0) {
      if (left === 0) {
        const missing = HEADER - header.length;
        header = Buffer.concat([header, data.subarray(0, missing)]);
        data = data.subarray(missing);
        if (header.length < HEADER) return;
        stream = header[0] === 2 ? "stderr" : "stdout";
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const part = data.subarray(0, left);
      left -= part.length;
      data = data.subarray(part.length);
      yield { stream, data: part };
    }
  };
}

/** One JSON document after the other, as events and pull progress come. */
export async function* documents<T>(stream: Readable): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const data of stream as AsyncIterable<Buffer>) {
    const lines = (rest + decoder.decode(data, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as T;
  }
  if (rest.trim() !== "") yield JSON.parse(rest) as T;
}

/** The reader's end was closed, by `close()` or by the signal. */
function isClosed(e: unknown): boolean {
  return e instanceof Error && "code" in e && (e.code === "ERR_STREAM_PREMATURE_CLOSE" || e.code === "ABORT_ERR");
}
