import { describe, expect, test } from "@jest/globals";
import { storeConformance } from "./conformance.ts";
import { del, describeEvent, put, take, write } from "./conformance-util.ts";
import { MemoryStore } from "./memory.ts";
import { OWN_KEYS } from "./own-keys.ts";
import { rebased, RebasedStore } from "./rebased.ts";
import { CompactedError } from "./store.ts";

storeConformance("RebasedStore", async (o) => new RebasedStore(new MemoryStore(o), 1_000_000_000n));

describe("RebasedStore", () => {
  test("revisions are those of the store below plus the offset, everywhere", async () => {
    const inner = new MemoryStore();
    const store = new RebasedStore(inner, 1000n);
    const r1 = await write(store, put("/a", "1"));
    const r2 = await write(store, put("/a", "2"));
    expect([r1, r2, (await inner.get("/a")).revision]).toEqual([1002n, 1003n, 3n]);
    expect((await store.get("/a")).kv).toMatchObject({ createRevision: r1, modRevision: r2 });
    expect((await store.txn([{ key: "/a", modRevision: r2 }], [del("/a")])).ok).toBe(true);
    const events = store.watch("/", r1, new AbortController().signal)[Symbol.asyncIterator]();
    expect((await take(events, 3)).map((e) => describeEvent(e, 1000n))).toEqual([
      "put /a=1 @2",
      "put /a=2 (1) @3",
      "delete /a (2) @4",
    ]);
    await store.close();
  });

  test("what clients remember from before counts as compacted: they list anew", async () => {
    const store = new RebasedStore(new MemoryStore(), 1000n);
    await write(store, put("/a", "1"));
    for (const old of [1n, 2n, 999n, 1000n]) {
      await expect(store.get("/a", old)).rejects.toThrow(CompactedError);
      await expect(store.list("/", { at: old })).rejects.toThrow(CompactedError);
      const watching = store.watch("/", old, new AbortController().signal)[Symbol.asyncIterator]().next();
      await expect(watching).rejects.toThrow(CompactedError);
      expect(await store.txn([{ key: "/a", modRevision: old }], [del("/a")])).toMatchObject({ ok: false });
    }
    await store.close();
  });

  test("a store says itself by how much", async () => {
    const inner = new MemoryStore();
    expect(await rebased(inner)).toBe(inner);
    await write(inner, put(OWN_KEYS.offset, "7000"));
    expect((await (await rebased(inner)).get("/")).revision).toBe(7002n);
    await inner.close();
  });
});
