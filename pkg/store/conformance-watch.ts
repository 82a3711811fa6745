import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { setMaxListeners } from "node:events";
import { del, describeEvent, type OpenStore, put, take, useStore, write } from "./conformance-util.ts";
import { CompactedError, type Revision, SlowWatcherError, type StoreEvent, StoreUnavailableError } from "./store.ts";

const SMALL_QUEUE_BYTES = 256 * 1024;

export function watchConformance(open: OpenStore): void {
  describe("watches", () => {
    const store = useStore(open, { watchQueueBytes: SMALL_QUEUE_BYTES });
    let abort = new AbortController();
    beforeEach(() => {
      abort = new AbortController();
      setMaxListeners(0, abort.signal); // one per watcher
    });
    afterEach(() => abort.abort());

    const watch = (prefix: string, from: Revision): AsyncIterator<StoreEvent> =>
      store().watch(prefix, from, abort.signal)[Symbol.asyncIterator]();

    test("S4: from a past revision, inclusive, on into the present, with previous values", async () => {
      const base = await write(store(), put("/w/a", "1"));
      await write(store(), put("/w/a", "2"), put("/other", "2"));
      await write(store(), del("/w/a"));
      const events = watch("/w/", base + 1n);
      const past = await take(events, 2);
      await write(store(), put("/w/a", "4"));
      const present = await take(events, 1);
      expect([...past, ...present].map((event) => describeEvent(event, base))).toEqual([
        "put /w/a=2 (1) @1",
        "delete /w/a (2) @2",
        "put /w/a=4 @3",
      ]);
      expect(present[0]).toMatchObject({ kv: { createRevision: base + 3n, modRevision: base + 3n } });
    });

    test("S4: from a revision to come", async () => {
      const base = await write(store(), put("/w/a", "0"));
      const events = watch("/w/", base + 3n);
      const first = take(events, 1);
      for (let i = 1; i <= 3; i++) await write(store(), put("/w/a", String(i)));
      expect((await first).map((event) => describeEvent(event, base))).toEqual(["put /w/a=3 (2) @3"]);
    });

    test("S6: the ops of a transaction in their order, none between them", async () => {
      const base = await write(store(), put("/w/1", "0"), put("/w/2", "0"));
      const events = watch("/w/", base + 1n);
      const first = take(events, 5);
      await write(store(), put("/w/3", "a"), del("/w/1"), put("/w/2", "a"));
      await write(store(), put("/w/3", "b"), put("/w/0", "b"));
      expect((await first).map((event) => describeEvent(event, base))).toEqual([
        "put /w/3=a @1",
        "delete /w/1 (0) @1",
        "put /w/2=a (0) @1",
        "put /w/3=b (a) @2",
        "put /w/0=b @2",
      ]);
    });

    test("S4: no gap and no repetition for many watchers that begin while others write", async () => {
      const total = 200;
      const base = await write(store(), put("/w/start", ""));
      const watchers: Promise<StoreEvent[]>[] = [];
      for (let i = 1; i <= total; i++) {
        const written = write(store(), put(`/w/${i % 7}`, String(i)));
        if (i % 4 === 0) watchers.push(take(watch("/w/", base + 1n), total));
        if (i % 16 === 0) await written;
      }
      const expected = Array.from({ length: total }, (_, i) => base + 1n + BigInt(i));
      expect(watchers).toHaveLength(50);
      for (const events of await Promise.all(watchers)) expect(events.map((e) => e.revision)).toEqual(expected);
    });

    test("S4: a watch from a list's revision plus one continues the list", async () => {
      const writing = Promise.all(Array.from({ length: 100 }, (_, i) => write(store(), put(`/w/${i}`, ""))));
      const page = await store().list("/w/");
      await writing;
      const events = await take(watch("/w/", page.revision + 1n), 100 - page.kvs.length);
      const keys = [...page.kvs.map((kv) => kv.key), ...events.map((e) => (e.type === "put" ? e.kv.key : ""))];
      expect(new Set(keys).size).toBe(100);
    });

    test("S5: from the compacted revision on back the past is gone, behind it all is there", async () => {
      const base = await write(store(), put("/w/a", "0"));
      await write(store(), put("/w/a", "1"));
      await write(store(), del("/w/a"));
      await write(store(), put("/w/a", "3"));
      await store().compact(base + 2n);
      await expect(watch("/w/", base + 1n).next()).rejects.toThrow(CompactedError);
      // The compaction may have forgotten the very deletion.
      await expect(watch("/w/", base + 2n).next()).rejects.toThrow(CompactedError);
      const events = await take(watch("/w/", base + 3n), 1);
      expect(events.map((event) => describeEvent(event, base))).toEqual(["put /w/a=3 @3"]);
    });

    test("S8: who does not read is cut off and can resume; others notice nothing", async () => {
      const base = await write(store(), put("/w/0", ""));
      const slow = watch("/w/", base);
      const brisk = watch("/w/", base);
      await Promise.all([take(slow, 1), take(brisk, 1)]);
      const value = "x".repeat(8 * 1024);
      const total = (8 * SMALL_QUEUE_BYTES) / value.length;
      for (let i = 1; i <= total; i++) {
        await write(store(), put(`/w/${i}`, value));
        const [event] = await take(brisk, 1);
        expect(event?.revision).toBe(base + BigInt(i));
      }
      const error: unknown = await take(slow, total).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SlowWatcherError);
      expect(error).toMatchObject({ retryable: true });
      const [resumed] = await take(watch("/w/", base + 1n), 1);
      expect(resumed?.revision).toBe(base + 1n);
    });

    test("an abort ends the watch without an error: before, while waiting, and with events queued", async () => {
      const base = await write(store(), put("/w/a", "0"));
      const queued = watch("/w/", base);
      await take(queued, 1);
      await write(store(), put("/w/a", "1"));
      const waiting = watch("/w/", base + 2n);
      const pending = take(waiting, 1).catch((error: Error) => error.message);
      abort.abort();
      expect(await pending).toBe("the watch ended after 0 of 1 events");
      expect((await queued.next()).done).toBe(true);
      expect((await watch("/w/", base).next()).done).toBe(true);
    });

    test("who leaves the loop leaves nothing behind", async () => {
      const base = await write(store(), put("/w/a", "0"));
      const seen: StoreEvent[] = [];
      for await (const event of store().watch("/w/", base, abort.signal)) {
        seen.push(event);
        break;
      }
      expect(seen.map((event) => describeEvent(event, base))).toEqual(["put /w/a=0 @0"]);
      expect(await write(store(), put("/w/a", "1"))).toBe(base + 1n);
    });

    test("closing the store ends its watches with a retryable error", async () => {
      const base = await write(store(), put("/w/a", "0"));
      const events = watch("/w/", base);
      await take(events, 1);
      const next = take(events, 1);
      await Promise.all([expect(next).rejects.toThrow(StoreUnavailableError), store().close()]);
      await expect(watch("/w/", base).next()).rejects.toThrow(StoreUnavailableError);
    });
  });
}
