import { describe, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { etcdEndpoints, openStore } from "./open.ts";
import { put, write } from "./conformance-util.ts";

describe("openStore", () => {
  const options = { clock: new FakeClock(), log: silent };

  test("lmdb keeps its data below the data directory, memory keeps none", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "mini-kube-open-"));
    try {
      for (const [spec, survives] of [
        ["lmdb", true],
        ["memory", false],
      ] as const) {
        const first = await openStore(spec, { ...options, dataDir });
        await write(first, put(`/${spec}`, "1"));
        await first.close();
        const second = await openStore(spec, { ...options, dataDir });
        expect((await second.get(`/${spec}`)).kv !== undefined).toBe(survives);
        await second.close();
      }
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  test.each([
    "",
    "sqlite",
    "etcd://",
    "etcd://host",
    "etcd://host:0",
    "etcd://a:1,,b:2",
    "etcd://a:1,b:99999",
    "lmdb:",
  ])("%j is refused with what would be right", async (spec) => {
    const opening = openStore(spec, { ...options, dataDir: "/nonexistent" });
    await expect(opening).rejects.toThrow(/^unknown store ".*; use lmdb, memory, or etcd:\/\/host:port/);
  });

  test("etcd's endpoints", () => {
    expect(etcdEndpoints("etcd://a:2379")).toEqual(["http://a:2379"]);
    expect(etcdEndpoints("etcds://10.0.0.1:1,[::1]:2/")).toEqual(["https://10.0.0.1:1", "https://[::1]:2"]);
  });
});
