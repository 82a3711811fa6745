import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
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
});
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
  });

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
  });

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
  });

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
  });
});

/** Between the store and etcd; loses an answer when it is told to. */
class Line {
  readonly #server = createServer((socket) => this.#join(socket));
  #lose: (() => Promise<unknown>) | undefined;

  async start(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What is sent next arrives; of what etcd says then nothing does, and after `until` the connection is cut. */
  loseAnswer(until: () => Promise<unknown>): void {
    this.#lose = until;
  }

  stop(): void {
    this.#server.close();
  }

  #join(socket: Socket): void {
    const { hostname, port } = new URL(etcd.endpoint);
    const upstream = connect(Number(port), hostname);
    let lost = false;
    const end = () => void (socket.destroy(), upstream.destroy());
    for (const side of [socket, upstream]) side.on("error", end).on("close", end);
    upstream.on("data", (d: Buffer) => void (lost || socket.write(d)));
    socket.on("data", (d: Buffer) => {
      upstream.write(d);
      if (!this.#lose) return;
      lost = true;
      void this.#lose().then(end, end);
      this.#lose = undefined;
    });
  }
}

describe("EtcdStore, when the answer to a transaction is lost", () => {
  const line = new Line();
  let store: EtcdStore;
  let other: EtcdStore;
  beforeEach(async () => {
    const prefix = `/test-${opened++}`;
    store = new EtcdStore({ endpoints: [await line.start()], prefix });
    other = new EtcdStore({ endpoints: [etcd.endpoint], prefix });
    await store.get("/a"); // it is connected
  });
  afterEach(async () => {
    line.stop();
    await Promise.all([store.close(), other.close()]);
  });
  const arrives = (value: string) => async () => {
    while (text((await other.get("/a")).kv?.value) !== value);
  };
  const change = (from: bigint, value: string) => store.txn([{ key: "/a", modRevision: from }], [put("/a", value)]);

  test("it has happened once, and its caller is told when", async () => {
    line.loseAnswer(arrives("1"));
    const made = await change(0n, "1");
    const { kv } = await other.get("/a");
    expect([made, kv?.modRevision]).toEqual([{ ok: true, revision: kv?.modRevision }, made.revision]);
    line.loseAnswer(arrives("2"));
    const changed = await change(made.revision, "2");
    expect(changed).toEqual({ ok: true, revision: made.revision + 1n });
    expect((await other.get("/a")).kv?.modRevision).toBe(changed.revision);
  });

  test("it never came: it is sent again", async () => {
    line.loseAnswer(() => Promise.resolve());
    const made = await change(0n, "1");
    expect(made.ok).toBe(true);
    expect((await other.get("/a")).kv?.modRevision).toBe(made.revision);
  });

  test("somebody has written there meanwhile: nobody can tell, and it is rejected", async () => {
    line.loseAnswer(async () => {
      await arrives("1")();
      await write(other, put("/a", "theirs"));
    });
    await expect(change(0n, "1")).rejects.toThrow(StoreUnavailableError);
    expect(text((await other.get("/a")).kv?.value)).toBe("theirs");
  });

  test("what was refused is no success", async () => {
    await write(other, put("/a", "theirs"));
    line.loseAnswer(() => Promise.resolve());
    await expect(change(0n, "1")).rejects.toThrow(StoreUnavailableError);
  });
});
