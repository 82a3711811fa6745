import { describe, expect, test } from "@jest/globals";
import { assertKeyValue, bytes, del, type OpenStore, put, text, useStore, write } from "./conformance-util.ts";
import { watchConformance } from "./conformance-watch.ts";
import {
  CompactedError,
  FutureRevisionError,
  type KeyValue,
  type Page,
  type Store,
  StoreUnavailableError,
  TxnTooLargeError,
} from "./store.ts";
import { MAX_TXN_BYTES, MAX_TXN_OPS } from "./txn-limits.ts";

/** What every adapter promises: the invariants S1–S8 of store.ts. */
export function storeConformance(name: string, open: OpenStore): void {
  describe(`${name} is a Store`, () => {
    transactions(open);
    reads(open);
    lists(open);
    compaction(open);
    watchConformance(open);
  });
}

function transactions(open: OpenStore): void {
  describe("transactions", () => {
    const store = useStore(open);

    test("create only if absent, and say what stands there", async () => {
      const revision = await write(store(), put("/a", "1"));
      const again = await store().txn([{ key: "/a", modRevision: 0n }], [put("/a", "2")]);
      expect(again).toMatchObject({ ok: false, revision });
      if (again.ok) throw new Error("the key was overwritten");
      assertKeyValue(again.current[0], { key: "/a", value: "1", createRevision: revision, modRevision: revision });
    });

    test("all ops or none; `current` follows the order of the expectations", async () => {
      const a = await write(store(), put("/a", "1"));
      const result = await store().txn(
        [
          { key: "/absent", modRevision: 0n },
          { key: "/a", modRevision: a + 100n },
        ],
        [put("/a", "2"), put("/b", "2")],
      );
      if (result.ok) throw new Error("an unmet expectation was ignored");
      expect(result.current.map((kv) => kv?.key)).toEqual([undefined, "/a"]);
      expect(await keysAndValues(store())).toEqual({ "/a": "1" });
      expect((await store().get("/a")).revision).toBe(a);
    });

    test("S1: each change raises the revision by one, for all its ops; creation is remembered", async () => {
      const r1 = await write(store(), put("/a", "1"), put("/b", "1"));
      const r2 = await write(store(), put("/a", "2"));
      const r3 = await write(store(), del("/a"), put("/c", "1"));
      const r4 = await write(store(), put("/a", "3"));
      expect([r2, r3, r4]).toEqual([r1 + 1n, r1 + 2n, r1 + 3n]);
      const page = await store().list("/");
      expect(page.kvs.map((kv) => [kv.key, kv.createRevision, kv.modRevision])).toEqual([
        ["/a", r4, r4],
        ["/b", r1, r1],
        ["/c", r3, r3],
      ]);
    });

    test("S1: what changes nothing raises nothing", async () => {
      const revision = await write(store(), put("/a", "1"));
      expect(await store().txn([], [])).toEqual({ ok: true, revision });
      expect(await store().txn([], [del("/absent")])).toEqual({ ok: true, revision });
      expect(await store().txn([{ key: "/a", modRevision: revision }], [])).toEqual({ ok: true, revision });
    });

    test("64 concurrent read-modify-write loops lose no update", async () => {
      await write(store(), put("/counter", "0"));
      const increment = async (): Promise<void> => {
        for (;;) {
          const { kv } = await store().get("/counter");
          if (!kv) throw new Error("the counter is gone");
          const next = put("/counter", String(Number(text(kv.value)) + 1));
          if ((await store().txn([{ key: "/counter", modRevision: kv.modRevision }], [next])).ok) return;
        }
      };
      await Promise.all(Array.from({ length: 64 }, increment));
      expect(await keysAndValues(store())).toEqual({ "/counter": "64" });
    });

    test("of concurrent creations one wins, and the losers see the winner", async () => {
      const create = (i: number) => store().txn([{ key: "/a", modRevision: 0n }], [put("/a", String(i))]);
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => create(i)));
      const winner = results.findIndex((result) => result.ok);
      expect(results.filter((result) => result.ok)).toHaveLength(1);
      const seen = results.map((result) => (result.ok ? String(winner) : text(result.current[0]?.value)));
      expect(new Set(seen)).toEqual(new Set([String(winner)]));
    });

    test("what is too large is refused before anything is written", async () => {
      const many = Array.from({ length: MAX_TXN_OPS + 1 }, (_, i) => put(`/${i}`, ""));
      await expect(store().txn([], many)).rejects.toThrow(TxnTooLargeError);
      const large = { op: "put", key: "/large", value: new Uint8Array(MAX_TXN_BYTES + 1) } as const;
      await expect(store().txn([], [large])).rejects.toThrow(TxnTooLargeError);
      await expect(store().txn([], [put("", "1")])).rejects.toThrow(TypeError);
      await expect(store().txn([], [put("/twice", "1"), del("/twice")])).rejects.toThrow(TypeError);
      expect((await store().list("")).kvs).toEqual([]);
      const largest = { ...large, value: new Uint8Array(MAX_TXN_BYTES - 100) };
      expect(await store().txn([], [largest])).toMatchObject({ ok: true });
    });

    test("a closed store answers nothing", async () => {
      await store().close();
      await expect(store().get("/a")).rejects.toThrow(StoreUnavailableError);
      await expect(store().list("/")).rejects.toThrow(StoreUnavailableError);
      await expect(store().txn([], [put("/a", "1")])).rejects.toThrow(StoreUnavailableError);
    });
  });
}

function reads(open: OpenStore): void {
  describe("reads", () => {
    const store = useStore(open);

    test("any bytes come back as they were", async () => {
      const value = Uint8Array.from({ length: 256 }, (_, i) => i);
      await write(store(), { op: "put", key: "/bytes", value }, put("/empty", ""));
      expect(bytes((await store().get("/bytes")).kv?.value)).toEqual(bytes(value));
      expect(bytes((await store().get("/empty")).kv?.value)).toEqual([]);
    });

    test("S3: a read at a revision sees exactly the writes up to it", async () => {
      const r1 = await write(store(), put("/a", "1"));
      const r2 = await write(store(), put("/a", "2"), put("/b", "1"));
      const r3 = await write(store(), del("/a"));
      const r4 = await write(store(), put("/a", "4"));
      expect(await keysAndValues(store(), r1)).toEqual({ "/a": "1" });
      expect(await keysAndValues(store(), r2)).toEqual({ "/a": "2", "/b": "1" });
      expect(await keysAndValues(store(), r3)).toEqual({ "/b": "1" });
      expect(await store().get("/a", r3)).toEqual({ revision: r3 });
      assertKeyValue((await store().get("/a", r2)).kv, { key: "/a", value: "2", createRevision: r1, modRevision: r2 });
      assertKeyValue((await store().get("/a")).kv, { key: "/a", value: "4", createRevision: r4, modRevision: r4 });
    });

    test("S5: a revision that is not reached yet", async () => {
      const revision = await write(store(), put("/a", "1"));
      await expect(store().get("/a", revision + 1n)).rejects.toThrow(FutureRevisionError);
      await expect(store().list("/", { at: revision + 1n })).rejects.toThrow(FutureRevisionError);
    });
  });
}

function lists(open: OpenStore): void {
  describe("lists", () => {
    const store = useStore(open);

    test("hold the keys of the prefix in byte order", async () => {
      const keys = ["/a", "/a/", "/a/b", "/a/b/c", "/a/é", "/a/\uffee", "/a/𝒳", "/a0", "/b"];
      for (const key of keys.toReversed()) await write(store(), put(key, key));
      const list = async (prefix: string) => (await store().list(prefix)).kvs.map((kv) => kv.key);
      expect(await list("/a/")).toEqual(keys.slice(1, 7));
      expect(await list("")).toEqual(keys);
      expect(await list("/c")).toEqual([]);
    });

    test("page by page at one revision, whatever is written meanwhile", async () => {
      for (let i = 10; i < 35; i++) await write(store(), put(`/p/${i}`, "old"));
      await write(store(), put("/q", "not under the prefix"));
      const pages: Page[] = [await store().list("/p/", { limit: 10 })];
      await write(store(), del("/p/20"), put("/p/21", "new"), put("/p/205", "new"));
      for (let last = pages[0]; last?.more; last = pages.at(-1)) {
        pages.push(await store().list("/p/", { limit: 10, at: last.revision, after: last.kvs.at(-1)?.key ?? "" }));
      }
      expect(pages.map((page) => [page.kvs.length, page.more, page.remaining])).toEqual([
        [10, true, 15],
        [10, true, 5],
        [5, false, 0],
      ]);
      const kvs = pages.flatMap((page) => page.kvs);
      expect(kvs.map((kv) => kv.key)).toEqual(Array.from({ length: 25 }, (_, i) => `/p/${i + 10}`));
      expect(new Set(kvs.map((kv) => text(kv.value)))).toEqual(new Set(["old"]));
      expect(new Set(pages.map((page) => page.revision)).size).toBe(1);
      const exact = await store().list("/p/", { limit: 25 });
      expect([exact.more, exact.remaining]).toEqual([false, 0]);
    });

    test("are not bounded by a message's size, wherever the large values stand", async () => {
      const large = new Uint8Array(400_000).fill(120);
      const puts = Array.from({ length: 300 }, (_, i) => put(`/l/${String(i).padStart(4, "0")}`, "small"));
      for (let i = 0; i < puts.length; i += 100) await write(store(), ...puts.slice(i, i + 100));
      for (let i = 250; i < 290; i++) {
        await write(store(), { op: "put", key: `/l/${String(i).padStart(4, "0")}`, value: large });
      }
      const page = await store().list("/l/");
      expect(page.kvs).toHaveLength(300);
      expect(page.more).toBe(false);
      expect(page.kvs.filter((kv) => kv.value.length === large.length)).toHaveLength(40);
      const part = await store().list("/l/", { after: "/l/0249", limit: 30 });
      expect([part.kvs.length, part.remaining]).toEqual([30, 20]);
    }, 30_000);
  });
}

function compaction(open: OpenStore): void {
  describe("compaction", () => {
    const store = useStore(open);

    test("S5: forgets what is older, keeps what is readable from the revision on", async () => {
      const r1 = await write(store(), put("/a", "1"), put("/gone", "1"));
      const r2 = await write(store(), put("/a", "2"), del("/gone"));
      const r3 = await write(store(), put("/a", "3"), put("/b", "3"));
      await store().compact(r2);
      await expect(store().get("/a", r1)).rejects.toThrow(CompactedError);
      await expect(store().list("/", { at: r1 })).rejects.toThrow(CompactedError);
      expect(await keysAndValues(store(), r2)).toEqual({ "/a": "2" });
      expect(await keysAndValues(store(), r3)).toEqual({ "/a": "3", "/b": "3" });
      await store().compact(r3);
      assertKeyValue((await store().get("/a")).kv, { key: "/a", value: "3", createRevision: r1, modRevision: r3 });
    });

    test("again, or further back, is no error; into the future is one", async () => {
      const r1 = await write(store(), put("/a", "1"));
      const r2 = await write(store(), del("/a"));
      await store().compact(r2);
      await store().compact(r2);
      await store().compact(r1);
      await expect(store().compact(r2 + 1n)).rejects.toThrow(FutureRevisionError);
      expect(await write(store(), put("/a", "2"))).toBe(r2 + 1n);
    });

    test("between the pages of a list ends that list", async () => {
      for (let i = 0; i < 5; i++) await write(store(), put(`/p/${i}`, "1"));
      const page = await store().list("/p/", { limit: 2 });
      const revision = await write(store(), put("/p/0", "2"));
      await store().compact(revision);
      const next = store().list("/p/", { limit: 2, at: page.revision, after: "/p/1" });
      await expect(next).rejects.toThrow(CompactedError);
    });
  });
}

async function keysAndValues(store: Store, at?: bigint): Promise<Record<string, string | undefined>> {
  const { kvs } = await store.list("/", at === undefined ? {} : { at });
  return Object.fromEntries(kvs.map((kv: KeyValue) => [kv.key, text(kv.value)]));
}
