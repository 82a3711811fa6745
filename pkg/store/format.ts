/**
 * How the cluster's records are written in a store, by version, and the way from each version to the next.
 *
 * Every step is a pure function of one record. They are walked in order of their keys, some in a transaction, and the
 * place reached is written in the same transaction: a crash at any point goes on where it was, no record is changed
 * twice, and of several processes that start at once each transaction is done by one.
 */
import { OWN, OWN_KEYS, ROOT } from "./own-keys.ts";
import type { KeyValue, Revision, Store, TxnOp } from "./store.ts";
import { MAX_TXN_BYTES } from "./txn-limits.ts";

/** From version `to - 1` to `to`. Keys stay as they are; undefined: the record goes. */
export interface UpgradeStep {
  readonly to: number;
  readonly says: string;
  record(key: string, value: Uint8Array): Uint8Array | undefined;
}

/**
 * Version 1 is JSON by key as in etcd of Kubernetes. Stores from before versions were counted are the same: nothing
 * changes but that it is said.
 */
export const STEPS: readonly UpgradeStep[] = [
  { to: 1, says: "the version is written down", record: (_key, value) => value },
];

export interface StoredFormat {
  readonly version: number;
  /** While the records are being changed to `version + 1`: all up to this key are. */
  readonly upgradedTo?: string;
}

/** More than there are under {@link OWN}. */
const OWN_RECORDS = 50;

/** Records of one transaction; with what a record may hold at most, below the limits. */
const BATCH = 50;

export interface FormatOptions {
  /** Default: those of this program. */
  readonly steps?: readonly UpgradeStep[];
  readonly onStep?: (step: UpgradeStep) => void;
}

/** Afterwards the store has this program's format. Refuses one that a newer program wrote; then nothing is changed. */
export async function ensureFormat(store: Store, o: FormatOptions = {}): Promise<number> {
  const steps = o.steps ?? STEPS;
  const newest = steps.at(-1)?.to ?? 0;
  for (let said = 0; ;) {
    const { format, at } = await stored(store, newest);
    if (format.version > newest) {
      throw new Error(
        `the store has format ${format.version}, written by a newer mini-kube; this one knows up to ${newest}: ` +
          "use the newer one, or restore a backup of the older format into an empty store",
      );
    }
    if (format.version === newest && at !== 0n) return newest;
    if (at === 0n) {
      await write(store, at, format, []);
      continue;
    }
    const step = steps.find(({ to }) => to === format.version + 1);
    if (!step) throw new Error(`the store has format ${format.version}, from which no step leads to ${newest}`);
    if (said < step.to) o.onStep?.(step);
    said = step.to;
    await advance(store, { format, at }, step);
  }
}

/** The format that stands there; an empty store has the newest. `at` is 0n where none is written. */
async function stored(store: Store, newest: number): Promise<{ format: StoredFormat; at: Revision }> {
  const { kv } = await store.get(OWN_KEYS.format);
  if (kv) return { format: JSON.parse(new TextDecoder().decode(kv.value)) as StoredFormat, at: kv.modRevision };
  // What is about the store itself is written first, and is none of the records of old.
  const { kvs } = await store.list(ROOT, { limit: OWN_RECORDS + 1 });
  const isOld = kvs.some(({ key }) => !key.startsWith(OWN));
  return { format: { version: isOld ? 0 : newest }, at: 0n };
}

/** One transaction further. Where somebody else was quicker nothing is done, and the next look shows what they did. */
async function advance(
  store: Store,
  { format, at }: { format: StoredFormat; at: Revision },
  step: UpgradeStep,
): Promise<void> {
  const page = await store.list(ROOT, { limit: BATCH, ...(format.upgradedTo && { after: format.upgradedTo }) });
  const last = page.kvs.at(-1);
  if (!last) return write(store, at, { version: step.to }, []);
  const changes: { kv: KeyValue; op: TxnOp }[] = [];
  let upgradedTo = last.key;
  let bytes = 0;
  for (const kv of page.kvs) {
    const op = kv.key === OWN_KEYS.format ? undefined : changed(kv, step);
    bytes += op?.op === "put" ? op.key.length + op.value.length : 0;
    if (bytes > MAX_TXN_BYTES / 2 && changes.length > 0) break;
    if (op) changes.push({ kv, op });
    upgradedTo = kv.key;
  }
  await write(store, at, { version: format.version, upgradedTo }, changes);
}

function changed({ key, value }: KeyValue, step: UpgradeStep): TxnOp | undefined {
  const next = step.record(key, value);
  if (next === undefined) return { op: "delete", key };
  return Buffer.compare(next, value) === 0 ? undefined : { op: "put", key, value: next };
}

async function write(
  store: Store,
  at: Revision,
  format: StoredFormat,
  changes: readonly { kv: KeyValue; op: TxnOp }[],
): Promise<void> {
  const value = new TextEncoder().encode(JSON.stringify(format));
  await store.txn(
    [
      { key: OWN_KEYS.format, modRevision: at },
      ...changes.map(({ kv: { key, modRevision } }) => ({ key, modRevision })),
    ],
    [{ op: "put", key: OWN_KEYS.format, value }, ...changes.map(({ op }) => op)],
  );
}
