import { OWN_KEYS, ROOT } from "./own-keys.ts";
import type { Revision, Store } from "./store.ts";

/** Records read at once. */
const PAGE = 500;

export interface SnapshotRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

/** All of a cluster's records as they were at one revision, in the order of their keys. */
export interface Snapshot {
  /** As clients know it. */
  readonly revision: Revision;
  find(key: string): Promise<Uint8Array | undefined>;
  /** May be walked again, until `close`. */
  records(): AsyncIterable<SnapshotRecord> | Iterable<SnapshotRecord>;
  close(): Promise<void>;
}

/** Of a store that others may write meanwhile. Closes the store in the end. */
export async function snapshotOf(store: Store): Promise<Snapshot> {
  const { revision } = await store.get(OWN_KEYS.format);
  const records = async function* () {
    for (let after = ""; ;) {
      const page = await store.list(ROOT, { at: revision, limit: PAGE, ...(after && { after }) });
      yield* page.kvs;
      after = page.kvs.at(-1)?.key ?? "";
      if (!page.more || after === "") return;
    }
  };
  const find = async (key: string) => (await store.get(key, revision)).kv?.value;
  return { revision, find, records, close: () => store.close() };
}
