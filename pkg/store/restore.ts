/** A backup's records into a store, in place of whatever was there. */
import { isRecord, readBackup, revisionOf, type BackupSummary, type KeyFile } from "./backup.ts";
import { OWN_KEYS, ROOT } from "./own-keys.ts";
import type { Revision, Store, TxnOp } from "./store.ts";
import { MAX_TXN_BYTES, MAX_TXN_OPS } from "./txn-limits.ts";

/**
 * A restored store goes on so far above the backup's revision. Between the backup and the restore others were told
 * revisions of which the backup knows nothing; as many writes as this nobody has made meanwhile. (etcd's own tool
 * recommends the same number for its `--bump-revision`.)
 */
const REVISION_LEAP = 1_000_000_000n;

/** A lease that was renewed since is somebody's who still acts. */
const ALIVE_MS = 30_000;

const LEASES = `${ROOT}coordination.k8s.io/leases/`;

/** What a transaction takes beside the marker or the offset. */
const BATCH_OPS = MAX_TXN_OPS - 2;
const BATCH_BYTES = MAX_TXN_BYTES / 2;

export interface RestoreOptions {
  /** As {@link import("./open.ts").openBackend} gives it: with its own revisions. */
  readonly store: Store;
  readonly file: string;
  /** As `checkBackup` found it. */
  readonly summary: BackupSummary;
  /** Others may have it open, too. */
  readonly shared: boolean;
  /** What is there already goes. */
  readonly force: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What becomes of a record; undefined: it is left out. */
  readonly record: (key: string, value: Uint8Array) => Uint8Array | undefined;
  readonly onProgress?: (records: number) => void;
}

export interface Restored {
  readonly records: number;
  /** The first revision that clients see. */
  readonly revision: Revision;
  readonly files: readonly KeyFile[];
}

/**
 * Rejects before anything is written when the store is not empty (unless forced), or when somebody still works with it.
 * Cut off in the middle it leaves a store that says so and that nobody opens until a restore has come to its end.
 */
export async function restore(o: RestoreOptions): Promise<Restored> {
  const { store } = o;
  if (o.shared) await refuseInUse(store, o.now);
  const before = await store.list(ROOT, { limit: 1 });
  const count = before.kvs.length + before.remaining;
  if (count > 0 && !o.force) {
    throw new Error(
      `the store is not empty (${count} records): restore into another one, or replace it all with --force`,
    );
  }
  await put(store, [{ op: "put", key: OWN_KEYS.restoring, value: new TextEncoder().encode(o.file) }]);
  // Read before it goes: what was told by the store that is replaced counts, too.
  const reached = await reachedRevision(store);
  await clear(store);
  const { records, files } = await write(o);
  const { revision: own } = await store.get(ROOT);
  const told = reached > revisionOf(o.summary) ? reached : revisionOf(o.summary);
  const offset = told + REVISION_LEAP - own;
  const revision = await put(store, [
    { op: "put", key: OWN_KEYS.offset, value: new TextEncoder().encode(String(offset)) },
    { op: "delete", key: OWN_KEYS.restoring },
  ]);
  // Up to the one before: whoever lists now watches from this one on.
  await store.compact(revision - 1n);
  return { records, revision: revision + offset, files };
}

async function refuseInUse(store: Store, now: number): Promise<void> {
  const { kvs } = await store.list(LEASES);
  for (const { key, value } of kvs) {
    const renewed = Date.parse(renewTime(value));
    if (now - renewed > ALIVE_MS || Number.isNaN(renewed)) continue;
    const ago = Math.max(0, Math.round((now - renewed) / 1000));
    throw new Error(
      `a cluster works with this store (${key.slice(LEASES.length)} was renewed ${ago} s ago): ` +
        `stop all its API servers, and try again ${ALIVE_MS / 1000} s later`,
    );
  }
}

function renewTime(lease: Uint8Array): string {
  try {
    const { spec } = JSON.parse(new TextDecoder().decode(lease)) as { spec?: { renewTime?: string } };
    return spec?.renewTime ?? "";
  } catch {
    return ""; // encrypted, or nothing of ours
  }
}

async function reachedRevision(store: Store): Promise<Revision> {
  const { kv, revision } = await store.get(OWN_KEYS.offset);
  return revision + (kv ? BigInt(new TextDecoder().decode(kv.value)) : 0n);
}

/** All but the marker, and the offset: a second attempt must know how far revisions had come. */
async function clear(store: Store): Promise<void> {
  const kept: readonly string[] = [OWN_KEYS.restoring, OWN_KEYS.offset];
  for (let after = ""; ;) {
    const { kvs, more } = await store.list(ROOT, { limit: BATCH_OPS, ...(after && { after }) });
    const ops = kvs.filter(({ key }) => !kept.includes(key)).map(({ key }): TxnOp => ({ op: "delete", key }));
    if (ops.length > 0) await put(store, ops);
    after = kvs.at(-1)?.key ?? "";
    if (!more) return;
  }
}

async function write({ store, file, record, onProgress }: RestoreOptions) {
  const files: KeyFile[] = [];
  let records = 0;
  let ops: TxnOp[] = [];
  let bytes = 0;
  const flush = async () => {
    if (ops.length > 0) await put(store, ops);
    records += ops.length;
    onProgress?.(records);
    ops = [];
    bytes = 0;
  };
  for await (const item of readBackup(file)) {
    if (!isRecord(item)) {
      files.push(item);
      continue;
    }
    const value = record(item.key, item.value);
    if (value === undefined) continue;
    if (ops.length === BATCH_OPS || bytes + value.length > BATCH_BYTES) await flush();
    ops.push({ op: "put", key: item.key, value });
    bytes += item.key.length + value.length;
  }
  await flush();
  return { records, files };
}

async function put(store: Store, ops: readonly TxnOp[]): Promise<Revision> {
  const result = await store.txn([], ops);
  if (!result.ok) throw new Error("a transaction without conditions was refused");
  return result.revision;
}
