import { describe, expect, test } from "@jest/globals";
import { EventEmitter, once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { FakeClock, settle } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { describeEvent } from "./conformance-util.ts";
import { EtcdStore } from "./etcd.ts";
import { type EtcdEvent, EtcdWatch, type EtcdWatchResponse } from "./etcd-watch.ts";
import { EventQueue } from "./event-queue.ts";
import { CompactedError, SlowWatcherError, StoreUnavailableError } from "./store.ts";

class FakeStream extends EventEmitter {
  canceled = false;
  cancel(): void {
    this.canceled = true;
  }
  respond(response: Partial<EtcdWatchResponse>, revision = 0): void {
    const header = { revision: String(revision) };
    const nothing = { created: false, canceled: false, compact_revision: "0", cancel_reason: "", fragment: false };
    this.emit("data", { header, ...nothing, events: [], ...response });
  }
}

/** An event in which `key` gets its revision as value. */
function event(key: string, revision: number, o: { created?: number; prev?: boolean; type?: string } = {}): EtcdEvent {
  const kv = { key: Buffer.from(key), value: Buffer.from(String(revision)), mod_revision: String(revision) };
  const prev = { ...kv, value: Buffer.from("old"), create_revision: "1", mod_revision: "1" };
  const created = { ...kv, create_revision: String(o.created ?? revision) };
  return { type: o.type ?? "PUT", kv: created, prev_kv: o.prev ? prev : null };
}

function start(from: bigint, limitBytes?: number) {
  const streams: { from: bigint; stream: FakeStream }[] = [];
  const queue = new EventQueue("/", limitBytes);
  const clock = new FakeClock();
  const stop = new AbortController();
  const watch = new EtcdWatch(from, {
    open: async (revision) => {
      const stream = new FakeStream();
      streams.push({ from: revision, stream });
      return stream;
    },
    toKeyValue: (kv) => ({
      key: kv.key.toString(),
      value: kv.value,
      createRevision: BigInt(kv.create_revision),
      modRevision: BigInt(kv.mod_revision),
    }),
    queue,
    clock,
    log: silent,
  });
  const running = watch.run(stop.signal);
  const stream = async (index: number) => {
    await clock.advanceUntil(() => streams.length > index);
    const opened = streams[index];
    if (!opened) throw new Error(`no stream ${index}`);
    return opened;
  };
  /** Everything that came, once the watch is over. */
  const outcome = async () => {
    stop.abort();
    await running;
    queue.end();
    const seen: string[] = [];
    try {
      for await (const e of queue.drain(new AbortController().signal)) seen.push(describeEvent(e, 0n));
    } catch (error) {
      return { seen, error };
    }
    return { seen, clock };
  };
  return { stream, outcome, running, stop, clock };
}

describe("EtcdWatch", () => {
  test("S4: each stream begins one before what is missing, and what was seen is dropped", async () => {
    const { stream, outcome } = start(5n);
    const first = await stream(0);
    expect(first.from).toBe(4n);
    first.stream.respond({ created: true }, 9);
    first.stream.respond({ events: [event("/a", 4), event("/a", 5, { created: 4, prev: true }), event("/b", 7)] });
    first.stream.emit("error", new Error("14 UNAVAILABLE"));
    const second = await stream(1);
    expect(first.stream.canceled).toBe(true);
    expect(second.from).toBe(7n);
    second.stream.respond({ events: [event("/b", 7), event("/a", 8, { type: "DELETE", created: 0, prev: true })] });
    second.stream.emit("end");
    expect((await stream(2)).from).toBe(8n);
    const { seen } = await outcome();
    expect(seen).toEqual(["put /a=5 (old) @5", "put /b=7 @7", "delete /a (old) @8"]);
  });

  test("S6: a revision cut in two by a lost connection is delivered once, whole", async () => {
    const { stream, outcome } = start(3n);
    const first = await stream(0);
    first.stream.respond({ events: [event("/a", 3)], fragment: true });
    first.stream.emit("error", new Error("14 UNAVAILABLE"));
    const second = await stream(1);
    expect(second.from).toBe(2n);
    second.stream.respond({ events: [event("/a", 3)], fragment: true });
    second.stream.respond({ events: [event("/b", 3)] });
    expect((await outcome()).seen).toEqual(["put /a=3 @3", "put /b=3 @3"]);
  });

  test("progress moves the point of resumption", async () => {
    const { stream, outcome } = start(3n);
    const first = await stream(0);
    first.stream.respond({}, 40);
    first.stream.emit("end");
    expect((await stream(1)).from).toBe(40n);
    expect((await outcome()).seen).toEqual(["progress @40"]);
  });

  test("S5: compaction ends it", async () => {
    const { stream, running, outcome } = start(3n);
    (await stream(0)).stream.respond({ canceled: true, compact_revision: "17" });
    await running;
    expect((await outcome()).error).toEqual(new CompactedError(17n));
  });

  test("a previous value that is left out is asked for by a new stream; left out again, it is compacted", async () => {
    const { stream, running, outcome } = start(3n);
    (await stream(0)).stream.respond({ events: [event("/a", 3)] });
    (await stream(0)).stream.respond({
      events: [event("/a", 4, { created: 3, prev: true }), event("/b", 4, { created: 2 })],
    });
    const second = await stream(1);
    expect(second.from).toBe(3n);
    const whole = [event("/a", 4, { created: 3, prev: true }), event("/b", 4, { created: 2, prev: true })];
    second.stream.respond({ events: [event("/a", 3), ...whole] });
    second.stream.respond({ events: [event("/c", 5, { created: 2 })] });
    (await stream(2)).stream.respond({ events: [event("/c", 5, { created: 2 })] });
    await running;
    const { seen, error } = await outcome();
    expect(seen).toEqual(["put /a=3 @3", "put /a=4 (old) @4", "put /b=4 (old) @4"]);
    expect(error).toEqual(new CompactedError(5n));
  });

  test("a refusal ends it with etcd's reason", async () => {
    const { stream, running, outcome } = start(3n);
    (await stream(0)).stream.respond({ created: true, canceled: true, cancel_reason: "permission denied" });
    await running;
    const { error } = await outcome();
    expect(error).toBeInstanceOf(StoreUnavailableError);
    expect(String(error)).toContain("permission denied");
  });

  test("S8: a watcher that is cut off costs no stream any more", async () => {
    const { stream, running, outcome } = start(3n, 500);
    const first = await stream(0);
    first.stream.respond({ events: [event("/a", 3), event("/b", 4), event("/c", 5), event("/d", 6)] });
    await running;
    expect(first.stream.canceled).toBe(true);
    const { seen, error } = await outcome();
    expect(seen).toEqual(["put /a=3 @3", "put /b=4 @4"]);
    expect(error).toBeInstanceOf(SlowWatcherError);
  });

  test("it tries again ever more slowly, and stops at once", async () => {
    const { stream, running, stop, clock } = start(3n);
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      const before = clock.now();
      (await stream(i)).stream.emit("error", new Error("14 UNAVAILABLE"));
      await stream(i + 1);
      waits.push(clock.now() - before);
    }
    expect(waits).toEqual([50, 100, 200, 400, 800, 1600, 2000, 2000]);
    (await stream(8)).stream.emit("error", new Error("14 UNAVAILABLE"));
    await settle();
    stop.abort();
    await running;
    expect(clock.pending).toBe(0);
  });
});

test("a watch that the only endpoint takes and does not answer is ended, and asked for again", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const clock = new FakeClock();
  const store = new EtcdStore({ endpoints: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`], clock });
  const stop = new AbortController();
  const first = once(server, "stream");
  const watching = store.watch("/", 1n, stop.signal)[Symbol.asyncIterator]().next();
  const [silent] = (await first) as [ServerHttp2Stream];
  const ended = once(silent, "close");
  const second = once(server, "stream");
  await clock.advance(3_000);
  await ended;
  await clock.advance(50);
  expect((await second)[1]).toMatchObject({ ":path": "/etcdserverpb.Watch/Watch" });
  stop.abort();
  await watching;
  await store.close();
  server.close();
});
