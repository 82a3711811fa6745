import { afterAll, afterEach, describe, expect, test } from "@jest/globals";
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { open } from "lmdb";
import { storeConformance } from "./conformance.ts";
import { assertKeyValue, del, describeEvent, put, take, text, write } from "./conformance-util.ts";
import { LmdbStore } from "./lmdb.ts";
import { CompactedError, StoreUnavailableError } from "./store.ts";

const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const CHILD = ["--import", TSX, fileURLToPath(new URL("./testdata/lmdb-child.ts", import.meta.url))];

const dirs: string[] = [];
afterAll(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "mini-kube-lmdb-"));
  dirs.push(dir);
  return dir;
}

storeConformance("LmdbStore", (o) => LmdbStore.open(newDir(), o));

describe("opened again", () => {
  test("it knows everything: values, history, revision", async () => {
    const dir = newDir();
    const before = await LmdbStore.open(dir);
    const r1 = await write(before, put("/a", "1"), put("/b", "1"));
    const r2 = await write(before, put("/a", "2"), del("/b"));
    await before.close();

    const store = await LmdbStore.open(dir);
    assertKeyValue((await store.get("/a")).kv, { key: "/a", value: "2", createRevision: r1, modRevision: r2 });
    expect((await store.list("/", { at: r1 })).kvs.map((kv) => kv.key)).toEqual(["/a", "/b"]);
    const events = store.watch("/", r1, new AbortController().signal)[Symbol.asyncIterator]();
    const past = (await take(events, 4)).map((event) => describeEvent(event, r1));
    expect(past).toEqual(["put /a=1 @0", "put /b=1 @0", "put /a=2 (1) @1", "delete /b (1) @1"]);
    expect(await write(store, put("/c", "3"))).toBe(r2 + 1n);
    await store.close();
  });

  test("it remembers the compaction, and a revision whose record is compacted away", async () => {
    const dir = newDir();
    const before = await LmdbStore.open(dir);
    const r1 = await write(before, put("/a", "1"), put("/b", "1"));
    const r2 = await write(before, del("/a"));
    await before.compact(r2);
    await before.close();

    const store = await LmdbStore.open(dir);
    await expect(store.get("/a", r1)).rejects.toThrow(CompactedError);
    expect(await store.get("/a")).toEqual({ revision: r2 });
    assertKeyValue((await store.get("/b")).kv, { key: "/b", value: "1", createRevision: r1, modRevision: r1 });
    expect(await write(store, put("/a", "2"))).toBe(r2 + 1n);
    await store.close();
  });

  test("thousands of transactions in one commit, and a compaction of them all, are there", async () => {
    const dir = newDir();
    const before = await LmdbStore.open(dir);
    const writes = Array.from({ length: 4000 }, (_, i) => write(before, put(`/${i % 1000}`, String(i))));
    const last = (await Promise.all(writes)).at(-1) ?? 0n;
    await before.compact(last);
    await before.close();

    const store = await LmdbStore.open(dir);
    const { kvs, revision } = await store.list("/");
    expect(revision).toBe(last);
    expect(kvs.map((kv) => Number(text(kv.value))).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 1000 }, (_, i) => 3000 + i),
    );
    await store.close();
  });

  test("a format it does not know is refused, and named", async () => {
    const dir = newDir();
    const root = open({ path: dir, noSubdir: false });
    await root.openDB({ name: "meta", encoding: "string" }).put("format", "99");
    await root.close();
    await expect(LmdbStore.open(dir)).rejects.toThrow(/has format 99 .* reads format 2/);
  });

  test("twice at the same time it is refused", async () => {
    const dir = newDir();
    const store = await LmdbStore.open(dir);
    await expect(LmdbStore.open(dir)).rejects.toThrow("already open in this process");
    await store.close();
    await (await LmdbStore.open(dir)).close();
  });
});

describe("in a process that dies", () => {
  let child: ChildProcessByStdio<null, Readable, null> | undefined;
  afterEach(() => {
    child?.kill("SIGKILL");
  });

  test("S2: every acknowledged transaction survives SIGKILL, whole", async () => {
    const dir = newDir();
    const acknowledged = new Map<string, bigint>();
    for (const killAfter of [1, 500, 2000]) {
      child = spawn(process.execPath, [...CHILD, "write", dir], { stdio: ["ignore", "pipe", "inherit"] });
      await readAcknowledgements(child, killAfter, acknowledged);

      const store = await LmdbStore.open(dir);
      const { kvs, revision } = await store.list("/crash/");
      const found = new Map(kvs.map((kv) => [kv.key, kv]));
      for (const [key, modRevision] of acknowledged) {
        expect(found.get(key)?.modRevision).toBe(modRevision);
        expect(found.get(`${key}/twin`)?.modRevision).toBe(modRevision);
      }
      // What was not acknowledged is there whole or not at all, and no revision is missing.
      expect(kvs.every((kv) => kv.key.startsWith(text(kv.value) ?? "?"))).toBe(true);
      expect(kvs).toHaveLength(2 * (Number(revision) - 1));
      expect(new Set(kvs.map((kv) => kv.modRevision)).size).toBe(Number(revision) - 1);
      await store.close();
    }
    expect(acknowledged.size).toBeGreaterThan(2500);
  });

  test("while it lives, nobody else gets in", async () => {
    const dir = newDir();
    child = spawn(process.execPath, [...CHILD, "write", dir], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    await expect(LmdbStore.open(dir)).rejects.toThrow(`in use by process ${child.pid}`);
    await expect(LmdbStore.open(dir)).rejects.toThrow(StoreUnavailableError);
  });

  test("while it lives, its half-written pages are not called damage, with the advice to move them away", async () => {
    const dir = newDir();
    child = spawn(process.execPath, [...CHILD, "hold", dir], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    const file = join(dir, "data.mdb");
    const meanwhile = readFileSync(file).fill(0xff, 2 * 4096);
    writeFileSync(file, meanwhile);
    await expect(LmdbStore.open(dir)).rejects.toThrow(`in use by process ${child.pid}`);

    child.kill("SIGKILL");
    await once(child, "exit");
    await expect(LmdbStore.open(dir)).rejects.toThrow("is damaged");
    expect(readFileSync(file).equals(meanwhile)).toBe(true);
  });
});

/** What the child says, run in `mode` on a small disk; its mount namespace takes the disk away with the process. */
async function onSmallDisk(mode: "fill" | "ballast"): Promise<Record<string, unknown>> {
  const script = `mount -t tmpfs -o size=8m tmpfs "$1" && cd "$1" && shift && exec "$@"`;
  const mapRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const child = [process.execPath, ...CHILD, mode, "store"];
  const args = [...mapRoot, "-m", "sh", "-c", script, "sh", newDir(), ...child];
  const { stdout } = await promisify(execFile)("unshare", args);
  return JSON.parse(stdout) as Record<string, unknown>;
}

test("on a full disk: a typed error, everything readable, and deleting makes room again", async () => {
  const report = await onSmallDisk("fill");
  const written = Number(report.written);
  expect(written).toBeGreaterThan(20);
  expect(report).toEqual({
    name: "Unavailable",
    full: true,
    written,
    listed: written,
    revision: written + 1,
    again: true,
    after: true,
    left: written - 4 + 1,
  });
});

test("on a disk that others fill: refused as often as one tries, until there is room", async () => {
  expect(await onSmallDisk("ballast")).toEqual({ full: true, listed: true });
});

/** Collects `KEY REVISION` lines; kills the child after `killAfter` of them and reads on to its end. */
async function readAcknowledgements(
  child: ChildProcessByStdio<null, Readable, null>,
  killAfter: number,
  into: Map<string, bigint>,
): Promise<void> {
  let lines = 0;
  let rest = "";
  for await (const chunk of child.stdout) {
    const parts = (rest + String(chunk)).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      const [key = "", revision = ""] = line.split(" ");
      into.set(key, BigInt(revision));
      if (++lines === killAfter) child.kill("SIGKILL");
    }
  }
  if (lines < killAfter) throw new Error(`the child ended after ${lines} acknowledgements`);
}
