import { afterAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { silent } from "../util/log.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { type BackupItem, checkBackup, readBackup, writeBackup } from "./backup.ts";
import { bytes, del, put, write } from "./conformance-util.ts";
import { LmdbStore } from "./lmdb.ts";
import { lmdbSnapshot } from "./lmdb-snapshot.ts";
import { MemoryStore } from "./memory.ts";
import { openStore } from "./open.ts";
import { OWN_KEYS } from "./own-keys.ts";
import { rebased } from "./rebased.ts";
import { restore } from "./restore.ts";
import { type Snapshot, snapshotOf } from "./snapshot.ts";
import { CompactedError, type Revision, type Store, StoreUnavailableError } from "./store.ts";

const dirs: string[] = [];
afterAll(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "mini-kube-backup-"));
  dirs.push(dir);
  return dir;
}

const about = { createdAt: "2026-11-21T15:00:00Z", program: "v1.36.0+mini-kube", cluster: "uid-1" };

async function save(snapshot: Snapshot, files: readonly { file: string; text: string }[] = []): Promise<string> {
  const file = join(newDir(), "cluster.backup");
  await writeBackup(file, { ...about, snapshot, files });
  return file;
}

async function read(file: string): Promise<BackupItem[]> {
  const items: BackupItem[] = [];
  for await (const item of readBackup(file)) items.push(item);
  return items;
}

const NOW = Date.parse("2026-11-21T15:00:00Z");

async function load(file: string, store: Store, force = false) {
  return restore({
    store,
    file,
    summary: await checkBackup(file),
    shared: true,
    force,
    now: NOW,
    record: (key, value) => (key === OWN_KEYS.offset ? undefined : value),
  });
}

const contents = async (store: Store, prefix = "/registry/") =>
  (await store.list(prefix)).kvs
    .filter((kv) => kv.key !== OWN_KEYS.offset)
    .map((kv) => [kv.key, bytes(kv.value)] as const);

/** With what a cluster may hold: text, no text, nothing, and keys beyond ASCII. */
const records = fc.dictionary(
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).map((name) => `/registry/${name}`),
  fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ unit: "grapheme" }).map((s) => new TextEncoder().encode(s)),
  ),
  { maxKeys: 40 },
);

async function fill(store: Store, values: Record<string, Uint8Array>): Promise<void> {
  for (const [key, value] of Object.entries(values)) await store.txn([], [{ op: "put", key, value }]);
}

describe("a backup", () => {
  test("holds what the store held, byte by byte; restored elsewhere it is the same", async () => {
    await fc.assert(
      fc.asyncProperty(records, async (values) => {
        const [from, to] = [new MemoryStore(), new MemoryStore()];
        await fill(from, values);
        await write(from, put("/elsewhere", "not the cluster's"));
        const before = await contents(from);
        const file = await save(await snapshotOf(from));
        await load(file, to);
        expect(await contents(to)).toEqual(before);
        expect((await to.list("/elsewhere")).kvs).toEqual([]);
        await to.close();
      }),
      { numRuns: 40 },
    );
  });

  test("is of one revision, whatever is written while it is taken", async () => {
    const store = new MemoryStore();
    for (let i = 0; i < 1500; i++) await write(store, put(`/registry/${i}`, "before"));
    const snapshot = await snapshotOf(store);
    const file = join(newDir(), "file");
    let writes = 0;
    const onProgress = () => void write(store, put(`/registry/new-${writes}`, "after"), del(`/registry/${writes++}`));
    await writeBackup(file, { ...about, snapshot, files: [], onProgress });
    expect(writes).toBe(1500);
    const items = await read(file);
    expect(items).toHaveLength(1500);
    expect(new Set(items.map((item) => "value" in item && Buffer.from(item.value).toString()))).toEqual(
      new Set(["before"]),
    );
    expect(await checkBackup(file)).toMatchObject({ ...about, revision: "1501", records: 1500, files: 0 });
  });

  test("is lines of JSON that people can read, readable for its owner only", async () => {
    const store = new MemoryStore();
    await write(store, put("/registry/pods/default/web", '{"kind":"Pod"}'));
    await store.txn([], [{ op: "put", key: "/registry/secrets/a/b", value: Uint8Array.of(0xff, 0) }]);
    const file = await save(await snapshotOf(store), [{ file: "ca.key", text: "PEM" }]);
    const lines = gunzipSync(readFileSync(file)).toString().trimEnd().split("\n");
    expect(lines.slice(0, -1).map((line) => JSON.parse(line) as unknown)).toEqual([
      { kind: "MiniKubeBackup", version: 1, ...about, revision: "3" },
      { key: "/registry/pods/default/web", value: '{"kind":"Pod"}' },
      { key: "/registry/secrets/a/b", base64: "/wA=" },
      { file: "ca.key", text: "PEM" },
    ]);
  });

  test("that cannot be finished leaves no file", async () => {
    const dir = newDir();
    const snapshot: Snapshot = {
      revision: 5n,
      find: async () => undefined,
      *records() {
        yield { key: "/registry/a", value: Uint8Array.of(1) };
        throw new CompactedError(9n);
      },
      close: async () => {},
    };
    await expect(writeBackup(join(dir, "file"), { ...about, snapshot, files: [] })).rejects.toThrow(CompactedError);
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe("a file that is no whole backup is refused before anything is written", () => {
  const good = async () => {
    const store = new MemoryStore();
    for (let i = 0; i < 30; i++) await write(store, put(`/registry/${i}`, `value ${i}`));
    return readFileSync(await save(await snapshotOf(store)));
  };
  const put1 = (data: Uint8Array) => {
    const file = join(newDir(), "file");
    writeFileSync(file, data);
    return file;
  };

  test("cut short at any byte", async () => {
    const whole = await good();
    for (let length = 0; length < whole.length; length += 7) {
      const file = put1(whole.subarray(0, length));
      await expect(checkBackup(file)).rejects.toThrow(/^\S+ (is empty|is cut short|is no backup)/);
    }
  });

  test("any byte of it changed, packed or unpacked", async () => {
    const whole = await good();
    const plain = gunzipSync(whole);
    await fc.assert(
      fc.asyncProperty(fc.nat(plain.length - 2), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Buffer.from(plain);
        damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at);
        await expect(checkBackup(put1(gzipSync(damaged)))).rejects.toThrow(/^\S+ (is |was written by a newer)/);
        const packed = Buffer.from(whole);
        const place = 10 + (at % (whole.length - 10));
        packed.writeUInt8(packed.readUInt8(place) ^ flip, place);
        await expect(checkBackup(put1(packed))).rejects.toThrow(/^\S+ is /);
      }),
      { numRuns: 150 },
    );
  });

  test.each([
    ["text", Buffer.from("hello\n"), "is no backup that mini-kube wrote"],
    ["nothing", Buffer.alloc(0), "is cut short"],
    ["another's JSON", gzipSync('{"kind":"List"}\n'), "is no backup that mini-kube wrote"],
    [
      "a newer one",
      gzipSync('{"kind":"MiniKubeBackup","version":9,"revision":"1"}\n'),
      "was written by a newer mini-kube (format 9): use that one",
    ],
  ])("%s", async (_what, data, says) => {
    await expect(checkBackup(put1(data))).rejects.toThrow(says);
  });
});

/** A restore during which nothing can be written any more from the `after`-th transaction on; whether it failed. */
async function cutOff(file: string, dir: string, after: number): Promise<boolean> {
  const store = await LmdbStore.open(dir);
  let count = 0;
  const txn = store.txn.bind(store);
  store.txn = async (...args) => {
    if (count++ >= after) throw new StoreUnavailableError("pulled the plug");
    return txn(...args);
  };
  try {
    await load(file, store);
    return false;
  } catch {
    return true;
  } finally {
    await store.close();
  }
}

describe("restore", () => {
  async function backedUp(): Promise<{ file: string; revision: Revision }> {
    const store = new MemoryStore();
    for (let i = 0; i < 400; i++) await write(store, put(`/registry/pods/${i}`, `pod ${i}`));
    const snapshot = await snapshotOf(store);
    return { file: await save(snapshot), revision: snapshot.revision };
  }

  test("revisions go on above all that was told before: of the backup and of the store replaced", async () => {
    const { file, revision } = await backedUp();
    const target = new MemoryStore();
    const first = await load(file, target);
    expect(first.records).toBe(400);
    let store = await rebased(target);
    expect(first.revision).toBeGreaterThan(revision);
    expect((await store.get("/registry/pods/1")).revision).toBe(first.revision);
    const later = await write(store, put("/registry/pods/1", "changed"));
    const again = await load(file, target, true);
    expect(again.revision).toBeGreaterThan(later);
    store = await rebased(target);
    const stale = store
      .watch("/registry/", later + 1n, new AbortController().signal)
      [Symbol.asyncIterator]()
      .next();
    await expect(stale).rejects.toThrow(CompactedError);
    await target.close();
  });

  test("into a store that is not empty only when forced; then nothing of it is left", async () => {
    const { file } = await backedUp();
    const target = new MemoryStore();
    await write(target, put("/registry/pods/other", "other"), put("/elsewhere", "kept"));
    await expect(load(file, target)).rejects.toThrow(
      "the store is not empty (1 records): restore into another one, or replace it all with --force",
    );
    expect((await contents(target)).map(([key]) => key)).toEqual(["/registry/pods/other"]);
    await load(file, target, true);
    expect((await target.get("/registry/pods/other")).kv).toBeUndefined();
    expect((await target.list("/registry/pods/")).kvs).toHaveLength(400);
    expect((await target.get("/elsewhere")).kv).toBeDefined();
    await target.close();
  });

  test("never under a cluster that works", async () => {
    const { file } = await backedUp();
    const target = new MemoryStore();
    const lease = (ms: number) => JSON.stringify({ spec: { renewTime: new Date(NOW - ms).toISOString() } });
    const key = "/registry/coordination.k8s.io/leases/kube-system/kube-scheduler";
    await write(target, put(key, lease(2_000)));
    await expect(load(file, target, true)).rejects.toThrow(
      /a cluster works with this store \(kube-system\/kube-scheduler was renewed 2 s ago\): stop all its API servers/,
    );
    await write(target, put(key, lease(31_000)));
    await load(file, target, true);
    await target.close();
  });

  test("cut off at any transaction: the store is not opened until a restore has come to its end", async () => {
    const { file, revision } = await backedUp();
    const clock = new FakeClock();
    let cut = 0;
    let last = "";
    for (let after = 0; ; after++) {
      const dataDir = newDir();
      const failed = await cutOff(file, join(dataDir, "store"), after);
      const opened = await openStore("lmdb", { dataDir, clock, log: silent }).then(
        async (store) => {
          const count = (await store.list("/registry/pods/")).kvs.length;
          await store.close();
          return `${count} records`;
        },
        (error: unknown) => String(error),
      );
      if (!failed) {
        last = opened;
        break;
      }
      cut++;
      const unfinished = "Error: a restore into this store did not come to its end: run it again";
      expect(opened.startsWith(after === 0 ? "0 records" : unfinished)).toBe(true);
      const store = await LmdbStore.open(join(dataDir, "store"));
      expect((await load(file, store, true)).revision).toBeGreaterThan(revision);
      await store.close();
    }
    expect(last).toBe("400 records");
    expect(cut).toBeGreaterThan(4);
  });
});

describe("an LMDB store is backed up beside the process that has it open", () => {
  test("as it was at the last commit, deletions and offset counted", async () => {
    const dir = newDir();
    const store = await LmdbStore.open(dir);
    await write(store, put("/registry/a", "1"), put("/registry/b", "1"), put("/other", "1"));
    await write(store, put("/registry/a", "2"), del("/registry/b"));
    const last = await write(store, put(OWN_KEYS.offset, "1000"));
    const snapshot = await lmdbSnapshot(dir);
    await write(store, put("/registry/a", "3"));
    await store.compact(last);
    expect(snapshot.revision).toBe(last + 1000n);
    const found = [];
    for await (const { key, value } of snapshot.records()) found.push([key, Buffer.from(value).toString()]);
    expect(found).toEqual([
      ["/registry/a", "2"],
      [OWN_KEYS.offset, "1000"],
    ]);
    await snapshot.close();
    expect(await write(store, put("/registry/c", "1"))).toBeGreaterThan(last);
    await store.close();
  });

  test("of one that is half restored there is no backup", async () => {
    const dir = newDir();
    const store = await LmdbStore.open(dir);
    await write(store, put("/registry/a", "1"), put(OWN_KEYS.restoring, "file"));
    await expect(lmdbSnapshot(dir)).rejects.toThrow("a restore into this store did not come to its end");
    await store.close();
  });

  test("a folder without one is said", async () => {
    await expect(lmdbSnapshot(join(newDir(), "none"))).rejects.toThrow("there is no store in");
  });
});
