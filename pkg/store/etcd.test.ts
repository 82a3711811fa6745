import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { EtcdServer, findInPath } from "../../test/harness/etcd.ts";
import { storeConformance } from "./conformance.ts";
import { describeEvent, put, take, text, write } from "./conformance-util.ts";
import type { WatchLimits } from "./event-queue.ts";
import { EtcdStore } from "./etcd.ts";
import { type StoreEvent, StoreUnavailableError } from "./store.ts";

let etcd: EtcdServer;
beforeAll(async () => {
  etcd = await EtcdServer.start(["--experimental-watch-progress-notify-interval=500ms"]);
}, 30_000);
afterAll(() => etcd.stop());

let opened = 0;
/** Each store has keys of its own in the one etcd. */
function openEtcd(o: WatchLimits & { deadlineMs?: number } = {}): EtcdStore {
  return new EtcdStore({ endpoints: [etcd.endpoint], prefix: `/test-${opened++}`, ...o });
}

storeConformance("EtcdStore", async (o) => openEtcd(o));

describe("EtcdStore", () => {
  test("writes keys and JSON as they are: etcdctl reads them", async () => {
    const store = new EtcdStore({ endpoints: [etcd.endpoint] });
    const pod = JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "web" } });
    await write(store, put("/registry/pods/default/web", pod), put("/registry/pods/kube-system/dns", "{}"));
    const args = [`--endpoints=${etcd.endpoint}`, "get", "--prefix", "/registry"];
    const env = { ...process.env, ETCDCTL_API: "3" };
    const { stdout } = await promisify(execFile)(findInPath("etcdctl"), args, { env });
    expect(stdout).toBe(`/registry/pods/default/web\n${pod}\n/registry/pods/kube-system/dns\n{}\n`);
    await store.close();
  });

  test("etcd's own progress notifications reach a quiet watcher", async () => {
    const store = openEtcd();
    const base = await write(store, put("/w/a", "1"));
    const abort = new AbortController();
    const seen: StoreEvent[] = [];
    for await (const event of store.watch("/w/", base, abort.signal)) {
      seen.push(event);
      if (event.type === "progress") abort.abort();
      else await write(store, put("/other", "2"));
    }
    expect(seen.map((event) => describeEvent(event, base))).toEqual(["put /w/a=1 @0", "progress @1"]);
    await store.close();
  }, 15_000);

  test("moves on to an endpoint that answers", async () => {
    const dead = "http://127.0.0.1:1";
    const store = new EtcdStore({ endpoints: [dead, etcd.endpoint], prefix: `/test-${opened++}` });
    const { revision } = await store.get("/a");
    expect(await write(store, put("/a", "1"))).toBe(revision + 1n);
    const events = store.watch("/", revision + 1n, new AbortController().signal)[Symbol.asyncIterator]();
    expect((await take(events, 1)).map((event) => describeEvent(event, revision))).toEqual(["put /a=1 @1"]);
    await store.close();
  });
});

describe("EtcdStore, when etcd is killed", () => {
  test("S4: a watch goes on where it was, without gap or repetition, and reads wait", async () => {
    const store = openEtcd();
    const base = await write(store, put("/w/0", "0"));
    const events = store.watch("/w/", base, new AbortController().signal)[Symbol.asyncIterator]();
    const seen = await take(events, 1);
    for (let round = 1; round <= 2; round++) {
      await write(store, put(`/w/${round}`, "before"));
      await etcd.kill();
      const reading = store.get(`/w/${round}`);
      await etcd.restart();
      expect(text((await reading).kv?.value)).toBe("before");
      for (let i = 0; i < 20; i++) await write(store, put(`/w/${round}`, String(i)));
      seen.push(...(await take(events, 21)));
    }
    expect(seen.map((event) => event.revision)).toEqual(Array.from({ length: 43 }, (_, i) => base + BigInt(i)));
    await store.close();
  }, 30_000);

  test("a transaction and a read fail with a typed error when their time is up", async () => {
    const store = openEtcd({ deadlineMs: 1000 });
    await write(store, put("/a", "1"));
    await etcd.kill();
    try {
      await expect(write(store, put("/a", "2"))).rejects.toThrow(StoreUnavailableError);
      await expect(store.get("/a")).rejects.toThrow(StoreUnavailableError);
      await expect(store.compact(1n)).rejects.toThrow(StoreUnavailableError);
    } finally {
      await etcd.restart();
    }
    const { kv } = await store.get("/a");
    expect(text(kv?.value)).toBe("1");
    await store.close();
  }, 30_000);

  test("an outage is waited out once: who comes later is told soon, and who comes after it finds etcd at once", async () => {
    const store = openEtcd({ deadlineMs: 3000 });
    await write(store, put("/a", "1"));
    const took = async (call: Promise<unknown>) => {
      const began = performance.now();
      await call;
      return performance.now() - began;
    };
    const refused = () => expect(store.get("/a")).rejects.toThrow(StoreUnavailableError);
    await etcd.kill();
    try {
      expect(await took(refused())).toBeGreaterThan(1500);
      expect(await took(refused())).toBeLessThan(1500);
      await expect(write(store, put("/a", "2"))).rejects.toThrow(StoreUnavailableError);
    } finally {
      await etcd.restart();
    }
    await write(store, put("/a", "3"));
    expect(text((await store.get("/a")).kv?.value)).toBe("3");
    await store.close();
  }, 30_000);
});
