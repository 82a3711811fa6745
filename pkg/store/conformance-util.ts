import { afterEach, beforeEach, expect } from "@jest/globals";
import type { WatchLimits } from "./event-queue.ts";
import type { KeyValue, Revision, Store, StoreEvent, TxnOp } from "./store.ts";

/** Opens an empty store (its revision may be any). The suite closes it. */
export type OpenStore = (o?: WatchLimits) => Promise<Store>;

/** An empty store for each test. */
export function useStore(open: OpenStore, o?: WatchLimits): () => Store {
  let store: Store | undefined;
  beforeEach(async () => {
    store = await open(o);
  });
  afterEach(async () => {
    await store?.close();
  });
  return () => {
    if (!store) throw new Error("no store is open");
    return store;
  };
}

export function put(key: string, value: string): TxnOp {
  return { op: "put", key, value: new TextEncoder().encode(value) };
}

export function del(key: string): TxnOp {
  return { op: "delete", key };
}

/** Writes unconditionally; the revision. */
export async function write(store: Store, ...ops: TxnOp[]): Promise<Revision> {
  const result = await store.txn([], ops);
  if (!result.ok) throw new Error("an unconditional transaction was refused");
  return result.revision;
}

export function text(value: Uint8Array | undefined): string | undefined {
  return value && new TextDecoder().decode(value);
}

/** Plain numbers: adapters may return a Buffer, which jest tells from a Uint8Array. */
export function bytes(value: Uint8Array | undefined): number[] | undefined {
  return value && [...value];
}

export function assertKeyValue(kv: KeyValue | undefined, expected: Omit<KeyValue, "value"> & { value: string }): void {
  expect(kv && { ...kv, value: text(kv.value) }).toEqual(expected);
}

/** `put /a=2 (1) @7`: key, value, previous value, revision relative to `base`. */
export function describeEvent(event: StoreEvent, base: Revision): string {
  const at = `@${event.revision - base}`;
  if (event.type === "progress") return `progress ${at}`;
  const prev = event.prev ? ` (${text(event.prev.value)})` : "";
  if (event.type === "delete") return `delete ${event.key}${prev} ${at}`;
  return `put ${event.kv.key}=${text(event.kv.value)}${prev} ${at}`;
}

/** The next `count` events that are no progress. */
export async function take(events: AsyncIterator<StoreEvent>, count: number): Promise<StoreEvent[]> {
  const taken: StoreEvent[] = [];
  while (taken.length < count) {
    const { value, done } = await events.next();
    if (done) throw new Error(`the watch ended after ${taken.length} of ${count} events`);
    if (value.type !== "progress") taken.push(value);
  }
  return taken;
}
