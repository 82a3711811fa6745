import { existsSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import { checkLmdbFile, checkLmdbHeads } from "./lmdb-check.ts";
import { halfRestored, OWN_KEYS, ROOT } from "./own-keys.ts";
import { FORMAT } from "./lmdb-format.ts";
import { checkRecord, decodeOps, encodeRevision } from "./record-codec.ts";
import type { Snapshot, SnapshotRecord } from "./snapshot.ts";
import { compareKeys } from "./sorted-keys.ts";
import type { Revision } from "./store.ts";

/**
 * What an LMDB store held at this moment, read beside a process that has it open and goes on writing: one read
 * transaction of LMDB, which sees the last commit and nothing later, and holds up nobody.
 */
export async function lmdbSnapshot(dir: string): Promise<Snapshot> {
  const file = join(dir, "data.mdb");
  if (!existsSync(file)) throw new Error(`there is no store in ${dir}`);
  checkLmdbHeads(file);
  const root = open<Buffer, string>({ path: dir, noSubdir: false, maxDbs: 4, readOnly: true });
  try {
    const meta = root.openDB<string, string>({ name: "meta", encoding: "string" });
    const records = root.openDB<Buffer, Buffer>({ name: "records", encoding: "binary", keyEncoding: "binary" });
    const transaction = root.useReadTransaction();
    checkLmdbFile(file); // only now: from here on nothing of what it walks is overwritten
    const format = meta.get("format", { transaction });
    if (format !== FORMAT)
      throw new Error(`the store in ${dir} has format ${format}; start mini-kube once to upgrade it`);
    const { keys, last } = newestOf(records.getRange({ transaction }));
    if (keys.has(OWN_KEYS.restoring)) throw halfRestored();
    const read = (key: string, at: Revision): SnapshotRecord => {
      const record = records.get(encodeRevision(at), { transaction }) ?? Buffer.alloc(0);
      const op = decodeOps(record).find((candidate) => candidate.key === key);
      if (!op) throw new Error(`the store holds no ${key} at revision ${at}`);
      return { key, value: op.value };
    };
    const offsetAt = keys.get(OWN_KEYS.offset);
    const offset = offsetAt === undefined ? 0n : BigInt(Buffer.from(read(OWN_KEYS.offset, offsetAt).value).toString());
    const compacted = BigInt(meta.get("compacted", { transaction }) ?? 0);
    return {
      revision: offset + (compacted > last ? compacted : last),
      find: async (key) => {
        const at = keys.get(key);
        return at === undefined ? undefined : read(key, at).value;
      },
      *records() {
        const sorted = [...keys].toSorted(([a], [b]) => compareKeys(a, b));
        for (const [key, at] of sorted) if (key.startsWith(ROOT)) yield read(key, at);
      },
      close: async () => {
        transaction.done();
        await root.close();
      },
    };
  } catch (error) {
    await root.close();
    throw error;
  }
}

/** Where each key that exists was written last. */
function newestOf(records: Iterable<{ key: Buffer; value: Buffer }>): { keys: Map<string, Revision>; last: Revision } {
  const keys = new Map<string, Revision>();
  let last = 1n;
  for (const { key: revision, value } of records) {
    checkRecord(value);
    last = revision.readBigUInt64BE();
    for (const { key, createRevision } of decodeOps(value)) {
      if (createRevision === 0n) keys.delete(key);
      else keys.set(key, last);
    }
  }
  return { keys, last };
}
