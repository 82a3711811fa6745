import { afterAll, describe, expect, test } from "@jest/globals";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryStore } from "../../pkg/store/memory.ts";
import { OWN_KEYS } from "../../pkg/store/own-keys.ts";
import type { Store } from "../../pkg/store/store.ts";
import { agreeIdentity, IDENTITY_FILES, refuseOtherCluster } from "./shared-identity.ts";

const dirs: string[] = [];
afterAll(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "mini-kube-identity-"));
  dirs.push(dir);
  return dir;
}

const filesOf = (dir: string) =>
  Object.fromEntries(readdirSync(dir).map((f) => [f, readFileSync(join(dir, f), "utf8")]));
const contents = async (store: Store) =>
  JSON.stringify((await store.list("/")).kvs.map((kv) => [kv.key, [...kv.value]]));
const shared = { shared: true };
const alone = { shared: false };

describe("agreeIdentity", () => {
  test("the first one's keys become the store's; a fresh home takes them; again nothing changes", async () => {
    const [store, first, second] = [new MemoryStore(), newDir(), newDir()];
    const record = await agreeIdentity(store, first, shared);
    expect(await agreeIdentity(store, second, shared)).toEqual(record);
    expect(filesOf(second)).toEqual(filesOf(first));
    expect(Object.keys(filesOf(first)).toSorted()).toEqual(IDENTITY_FILES.toSorted());
    const before = await contents(store);
    await agreeIdentity(store, first, shared);
    expect(await contents(store)).toBe(before);
  });

  test("of first starts at one moment all end with the same keys, each time", async () => {
    for (let round = 0; round < 5; round++) {
      const store = new MemoryStore();
      const homes = [newDir(), newDir(), newDir()];
      const records = await Promise.all(homes.map((dir) => agreeIdentity(store, dir, shared)));
      expect(new Set(records.map((r) => JSON.stringify(r))).size).toBe(1);
      expect(new Set(homes.map((dir) => JSON.stringify(filesOf(dir)))).size).toBe(1);
    }
  });

  test.each([shared, alone])("a home of another cluster is refused (%p), and neither is changed", async (o) => {
    const [ours, theirs] = [newDir(), newDir()];
    const store = new MemoryStore();
    await agreeIdentity(store, theirs, o);
    await agreeIdentity(new MemoryStore(), ours, o);
    const before = [filesOf(ours), await contents(store)];
    const refused =
      /the store belongs to another cluster \(its CA is sha256:\w{12}…, the one in .* is sha256:\w{12}…\): give/;
    await expect(agreeIdentity(store, ours, o)).rejects.toThrow(refused);
    await expect(refuseOtherCluster(store, ours)).rejects.toThrow(refused);
    expect([filesOf(ours), await contents(store)]).toEqual(before);
  });

  test("a key file that is another's is named, and not replaced", async () => {
    const [store, first, second] = [new MemoryStore(), newDir(), newDir()];
    await agreeIdentity(store, first, shared);
    await agreeIdentity(store, second, shared);
    const other = newDir();
    await agreeIdentity(new MemoryStore(), other, shared);
    const { "service-account.key": strange = "" } = filesOf(other);
    const { writeFileSync } = await import("node:fs");
    writeFileSync(join(second, "service-account.key"), strange);
    await expect(agreeIdentity(store, second, shared)).rejects.toThrow(
      `${join(second, "service-account.key")} is not the one of the cluster whose store this is`,
    );
    expect(filesOf(second)["service-account.key"]).toBe(strange);
  });

  test("after a restore without keys the cluster stays the same one, with the CA it is started with", async () => {
    const [store, dir] = [new MemoryStore(), newDir()];
    const value = new TextEncoder().encode(JSON.stringify({ uid: "kept" }));
    await store.txn([], [{ op: "put", key: OWN_KEYS.cluster, value }]);
    const record = await agreeIdentity(store, dir, alone);
    expect(record).toEqual({ uid: "kept", caHash: expect.stringMatching(/^sha256:/) });
  });

  test("whoever has the store for himself may have his keys made anew", async () => {
    const [store, dir] = [new MemoryStore(), newDir()];
    const before = await agreeIdentity(store, dir, alone);
    rmSync(dir, { recursive: true });
    const after = await agreeIdentity(store, dir, alone);
    expect(after.uid).toBe(before.uid);
    expect(after.caHash).not.toBe(before.caHash);
  });
});
