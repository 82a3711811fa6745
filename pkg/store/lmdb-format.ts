/** How the records lie in LMDB's file, by version. What is in them is another matter: format.ts. */
import { own } from "../util/keys.ts";
import type { Trees } from "./lmdb-space.ts";
import { withChecksum } from "./record-codec.ts";

/** Of new stores, and of all others once they are opened. */
export const FORMAT = "2";

/** Changed in one commit: room for all of it must be had before. */
const BATCH = { records: 1000, bytes: 4 * 1024 * 1024 };

interface Step {
  readonly to: string;
  /** Pure: a record as the next format has it. */
  readonly record: (bytes: Buffer) => Buffer;
}

/** From each older format to the next. */
const STEPS: Readonly<Record<string, Step>> = { "1": { to: "2", record: withChecksum } };

/** The key in `meta` under which the last record stands that has been changed already. */
const UPGRADED = "upgraded";

/**
 * Step by step to {@link FORMAT}; how far it is is written with the records, so that a crash goes on where it was. Throws
 * what to do where no step leads there. `bytes`: of the values that `write` puts.
 */
export async function upgradeFormat(
  { meta, records }: Pick<Trees, "meta" | "records">,
  commit: (bytes: number, write: () => void) => Promise<void>,
): Promise<void> {
  for (let format = meta.get("format"); format !== FORMAT; format = meta.get("format")) {
    const step = own(STEPS, format ?? "");
    if (!step) {
      throw new Error(
        `the store has format ${format} of LMDB's file; this version of mini-kube reads format ${FORMAT}: use a newer one`,
      );
    }
    for (;;) {
      const done = meta.get(UPGRADED);
      const start = done === undefined ? Buffer.alloc(8) : Buffer.from(done, "hex");
      const range = records.getRange({ start, exclusiveStart: done !== undefined, limit: BATCH.records });
      const changed: (readonly [key: Buffer, record: Buffer])[] = [];
      let bytes = 0;
      for (const { key, value } of range) {
        const record = step.record(value);
        changed.push([Buffer.from(key), record]);
        if ((bytes += record.length) >= BATCH.bytes) break;
      }
      const last = changed.at(-1)?.[0];
      if (!last) break;
      await commit(bytes, () => {
        for (const [key, record] of changed) void records.put(key, record);
        void meta.put(UPGRADED, last.toString("hex"));
      });
    }
    await commit(0, () => {
      void meta.put("format", step.to);
      void meta.remove(UPGRADED);
    });
  }
}
