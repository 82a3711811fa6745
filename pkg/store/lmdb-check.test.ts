import { afterAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { del, put, text, write } from "./conformance-util.ts";
import { LmdbStore } from "./lmdb.ts";
import { checkLmdbFile, CorruptFileError } from "./lmdb-check.ts";

const PAGE = 4096;
const META_PAGES = 2;
const base = mkdtempSync(join(tmpdir(), "mini-kube-check-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let made = 0;
const newDir = () => join(base, String(made++));
const data = (dir: string) => join(dir, "data.mdb");

/** The file without the blocks behind LMDB's last page, which are kept for what comes. */
async function contentsOf(dir: string): Promise<Buffer> {
  const root = open({ path: dir, noSubdir: false });
  const { lastPageNumber } = root.getStats() as { lastPageNumber: number };
  await root.close();
  return readFileSync(data(dir)).subarray(0, (lastPageNumber + 1) * PAGE);
}

/** What stands in the store, or why it is not opened. */
async function opened(dir: string): Promise<string[] | string> {
  try {
    const store = await LmdbStore.open(dir);
    const found = (await store.list("/")).kvs.map((kv) => `${kv.key}=${text(kv.value)}`);
    await store.close();
    return found;
  } catch (error) {
    return String(error);
  }
}

/** Small and large values, history, deletions: all kinds of pages. */
async function sample(): Promise<{ dir: string; keys: string[] }> {
  const dir = newDir();
  const store = await LmdbStore.open(dir);
  for (let i = 0; i < 400; i++) await write(store, put(`/k/${i % 300}`, `${i}`.repeat(1 + (i % 9) * 400)));
  await write(store, del("/k/7"));
  const keys = (await store.list("/")).kvs.map((kv) => `${kv.key}=${text(kv.value)}`);
  await store.close();
  return { dir, keys };
}

describe("a damaged LMDB file", () => {
  test("whatever page is damaged: it is whole to its readers, or refused with what to do; never changed", async () => {
    const { dir, keys } = await sample();
    const whole = await contentsOf(dir);
    const pages = whole.length / PAGE - META_PAGES;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(pages - 1),
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.boolean(),
        async (n, with_, all) => {
          const damaged = Buffer.from(whole);
          const from = (META_PAGES + n) * PAGE;
          damaged.fill(with_, from, all ? from + PAGE : from + with_.length);
          const copy = newDir();
          cpSync(dir, copy, { recursive: true });
          writeFileSync(data(copy), damaged);
          const found = await opened(copy);
          const fine = found instanceof Array; // the damage is where nothing is kept, or is none
          const refusal = /is damaged: .*; nothing was changed; .* mini-kube restore FILE/;
          expect(fine ? found : keys).toEqual(keys);
          expect(fine || refusal.test(found)).toBe(true);
          expect(fine || readFileSync(data(copy)).equals(damaged)).toBe(true);
          if (!fine) refused++;
          rmSync(copy, { recursive: true });
        },
      ),
      { numRuns: 150 },
    );
    expect(refused).toBeGreaterThan(30);
  });

  test("cut short anywhere: refused, for LMDB would die of it", async () => {
    const { dir } = await sample();
    const whole = await contentsOf(dir);
    for (const part of [0.99, 0.5, 0.1, 0.01]) {
      const copy = newDir();
      cpSync(dir, copy, { recursive: true });
      writeFileSync(data(copy), whole.subarray(0, Math.floor(whole.length * part)));
      await expect(LmdbStore.open(copy)).rejects.toThrow(/is damaged: it is cut short/);
    }
  });

  test.each([
    ["text", Buffer.from("hello ".repeat(2000)), "it is no LMDB file"],
    ["a few bytes", Buffer.from("hello"), "it is cut short"],
    ["LMDB's older version", Buffer.alloc(2 * PAGE), "it is no LMDB file"],
  ])("%s in its place", (_what, bytes, says) => {
    const file = `${newDir()}.mdb`;
    writeFileSync(file, bytes);
    expect(() => checkLmdbFile(file)).toThrow(new CorruptFileError(says));
  });

  test("one that is not there, or empty, is fine", () => {
    const file = `${newDir()}.mdb`;
    expect(() => checkLmdbFile(file)).not.toThrow();
    writeFileSync(file, "");
    expect(() => checkLmdbFile(file)).not.toThrow();
  });
});

describe("the file's format", () => {
  /** As format 1 had them: no checksum. */
  function stripped(dir: string): void {
    const root = open({ path: dir, noSubdir: false, maxDbs: 4 });
    const meta = root.openDB<string, string>({ name: "meta", encoding: "string" });
    const records = root.openDB<Buffer, Buffer>({ name: "records", encoding: "binary", keyEncoding: "binary" });
    const before = [...records.getRange({})];
    root.transactionSync(() => {
      for (const { key, value } of before) void records.put(Buffer.from(key), Buffer.from(value).subarray(4));
      void meta.put("format", "1");
    });
    void root.close();
  }

  test("1 → 2: all that was there is, with checksums from then on", async () => {
    const dir = newDir();
    const before = await LmdbStore.open(dir);
    for (let i = 0; i < 2500; i++) void before.txn([], [put(`/k/${i % 1000}`, `${i}`)]);
    const last = await write(before, del("/k/1"));
    const kept = (await before.list("/")).kvs.map((kv) => `${kv.key}=${text(kv.value)}@${kv.modRevision}`);
    await before.close();
    stripped(dir);
    for (const _start of ["upgrades", "finds it upgraded"]) {
      const store = await LmdbStore.open(dir);
      expect((await store.list("/")).kvs.map((kv) => `${kv.key}=${text(kv.value)}@${kv.modRevision}`)).toEqual(kept);
      expect((await store.get("/")).revision).toBe(last);
      await store.close();
    }
  });
});

test("a file of mostly free pages is written anew at the start: smaller, with all that was in it", async () => {
  const dir = newDir();
  const before = await LmdbStore.open(dir);
  const large = (i: number) => put(`/large/${i}`, "x".repeat(1_000_000));
  for (let i = 0; i < 140; i++) await write(before, large(i));
  await write(before, put("/kept", "yes"));
  for (let i = 0; i < 140; i += 100) {
    await write(before, ...Array.from({ length: Math.min(100, 140 - i) }, (_, k) => del(`/large/${i + k}`)));
  }
  const { revision } = await before.get("/");
  await before.compact(revision);
  const full = statSync(data(dir)).size;
  const { sizeBytes, inUseBytes } = await before.maintenance.status();
  expect(sizeBytes).toBe(full);
  expect(inUseBytes).toBeLessThan(full / 10);
  await before.close();
  const store = await LmdbStore.open(dir);
  expect(statSync(data(dir)).size).toBeLessThan(full / 10);
  expect((await store.list("/")).kvs.map((kv) => kv.key)).toEqual(["/kept"]);
  expect(await write(store, put("/more", "1"))).toBe(revision + 1n);
  await store.close();
});
