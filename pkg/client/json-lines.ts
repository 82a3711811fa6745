/**
 * The values of a stream of JSON texts, one a line. Pulls: while the consumer is busy nothing more is read, so that a
 * slow reader of a watch is felt by the server instead of by this process's memory. An unfinished last line is dropped.
 */
import { StringDecoder } from "node:string_decoder";

export async function* jsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, void, undefined> {
  const decoder = new StringDecoder("utf8");
  // Parts of one long line: joined once, as adding to one string would be scanned again with every chunk.
  let parts: string[] = [];
  for await (const chunk of chunks) {
    const lines = decoder.write(chunk as Buffer).split("\n");
    const last = lines.pop() ?? "";
    for (const line of lines) {
      const whole = parts.length > 0 ? parts.join("") + line : line;
      parts = [];
      if (whole.trim() !== "") yield JSON.parse(whole);
    }
    if (last !== "") parts.push(last);
  }
}
