import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { ApiError } from "../../pkg/api/status.ts";
import { TestCluster } from "../harness/cluster.ts";
import { run, runOk } from "../harness/process.ts";

/** The store's disk is full: writes are refused in one sentence, all else goes on, and room is all it takes. */
const SIZE = "24m";
const CHUNK = "x".repeat(200_000);
let disk: string;
let cluster: TestCluster;

beforeAll(async () => {
  disk = mkdtempSync(join(tmpdir(), "mk-disk-"));
  await runOk("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", disk]);
  cluster = await TestCluster.start({ dataDir: join(disk, "data") });
});
afterAll(async () => {
  await cluster?.remove();
  await run("umount", ["-l", disk]);
  rmSync(disk, { recursive: true, force: true });
});

const ballast = () => join(disk, "ballast");
const store = () => cluster.client.resource(configMaps, "default");
const write = (name: string) =>
  store().create({ metadata: { name, namespace: "default" }, data: { of: name, text: CHUNK } });

/** What was acknowledged, by name. */
const kept: string[] = [];

/** Takes all the room there is, and then writes until the store has used up what it had in reserve. */
async function fillUp(): Promise<ApiError> {
  const file = openSync(ballast(), "a");
  try {
    for (const size of [1 << 20, 1 << 12]) {
      const block = Buffer.alloc(size, 1);
      while (writeSync(file, block) === size);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(file);
  }
  for (;;) {
    const name = `cm-${kept.length}`;
    try {
      await write(name);
      kept.push(name);
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
  }
}

/** What was acknowledged and is not there, or not as it was written. */
async function lost(): Promise<string[]> {
  const { items } = await store().list();
  const intact = new Set(items.filter((o) => o.data?.["of"] === nameOf(o) && o.data["text"] === CHUNK).map(nameOf));
  return kept.filter((name) => !intact.has(name));
}

describe("a full disk", () => {
  test("one clear error for writes; reads go on and show all that was acknowledged", async () => {
    for (let i = 0; i < 5; i++) {
      await write(`cm-${i}`);
      kept.push(`cm-${i}`);
    }
    const refused = await fillUp();
    expect(refused).toMatchObject({ code: 507, reason: "InsufficientStorage" });
    expect(refused.message).toBe("the store is full: no space left for the store");
    const manifest = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "one-more" }, data: { text: CHUNK } };
    for (const client of [cluster.kubectl.bind(cluster), cluster.cli.bind(cluster)]) {
      const done = await client(["create", "-f", "-"], { input: JSON.stringify(manifest) });
      expect(done.code).toBe(1);
      expect(done.stderr.trim().split("\n")).toHaveLength(1);
      expect(done.stderr).toMatch(/the store is full: no space left for the store/);
    }
    expect(await cluster.kubectlOk(["get", "nodes", "-o", "name"])).toBe("node/node-1\n");
    expect(await lost()).toEqual([]);
  });

  test("room made: writes go through again, without a restart", async () => {
    rmSync(ballast());
    await write(`cm-${kept.length}`);
    kept.push(`cm-${kept.length}`);
    expect(await lost()).toEqual([]);
  });

  test("filled again and killed: started on the full disk it shows all that was acknowledged, and goes on once there is room", async () => {
    expect((await fillUp()).reason).toBe("InsufficientStorage");
    await cluster.kill9();
    await cluster.up();
    expect(await lost()).toEqual([]);
    rmSync(ballast());
    await write("last");
    kept.push("last");
    await cluster.kill9();
    await cluster.up();
    expect(await lost()).toEqual([]);
  });
});
