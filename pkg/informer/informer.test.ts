import { describe, expect, it } from "@jest/globals";
import type { ApiObject, ObjectKey, ObjectList, WatchEvent } from "../api/object.ts";
import { ApiError } from "../api/status.ts";
import type { ListOptions, ResourceClient, WatchOptions } from "../client/client.ts";
import { Client } from "../client/client.ts";
import type { Call, Transport } from "../client/transport.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock, settle } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import { Informer } from "./informer.ts";

interface Thing extends ApiObject {
  spec?: { node?: string };
}

const thing = (name: string, rv: number, node = "", uid = `uid-${name}`): Thing => ({
  metadata: { namespace: "d", name, uid, resourceVersion: String(rv) },
  spec: { node },
});

/** A server whose answers the test writes: `state` for lists, `send`/`end` for the open watch. */
class ScriptedServer implements Transport {
  state: Thing[] = [];
  revision = 1;
  lists: Call[] = [];
  watches: Call[] = [];
  failNext: ApiError[] = [];
  #push: ((e: WatchEvent | ApiError | "end") => void) | undefined;

  call(call: Call): Promise<unknown> {
    this.lists.push(call);
    const error = this.failNext.shift();
    if (error) return Promise.reject(error);
    const list: ObjectList<Thing> = { metadata: { resourceVersion: String(this.revision) }, items: [...this.state] };
    return Promise.resolve(list);
  }

  async *watch(call: Call, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    this.watches.push(call);
    const queue: (WatchEvent | ApiError | "end")[] = [];
    let wake = () => {};
    this.#push = (e) => {
      queue.push(e);
      wake();
    };
    signal.addEventListener("abort", () => this.#push?.("end"), { once: true });
    for (;;) {
      const next = queue.shift();
      if (next === "end") return;
      if (next instanceof ApiError) throw next;
      if (next) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  async send(...events: (WatchEvent | ApiError | "end")[]): Promise<void> {
    for (const e of events) this.#push?.(e);
    await settle();
  }
}

type Told = [key: ObjectKey, now: string | undefined, old: string | undefined];

async function start(server: ScriptedServer, resyncMs?: number) {
  const clock = new FakeClock();
  const resource: ResourceClient<Thing> = new Client(server, "test").resource<Thing>({
    group: "",
    version: "v1",
    kind: "Thing",
    plural: "things",
    namespaced: true,
  });
  const informer = new Informer<Thing>({
    resource,
    clock,
    log: silent,
    random: seededRandom(1),
    indexers: { node: (o) => (o.spec?.node ? [o.spec.node] : []) },
    ...(resyncMs !== undefined && { resyncMs }),
  });
  const told: Told[] = [];
  const rv = (o: DeepReadonly<Thing> | undefined) => o?.metadata.resourceVersion;
  informer.onChange((key, now, old) => void told.push([key, rv(now), rv(old)]));
  const stop = new AbortController();
  const done = informer.run(stop.signal);
  await settle();
  const end = async () => {
    stop.abort();
    await done;
    expect(clock.pending).toBe(0);
  };
  return { clock, informer, told, stop, done, end };
}

const param = (c: Call | undefined, name: keyof (ListOptions & WatchOptions)) => c?.params?.[name];

describe("Informer", () => {
  it("lists, then watches from there, and tells of each change once (N1, N2, N5)", async () => {
    const server = new ScriptedServer();
    server.state = [thing("a", 1, "n1")];
    server.revision = 5;
    const { informer, told, end } = await start(server);
    await informer.whenSynced(new AbortController().signal);
    expect(told).toEqual([["d/a", "1", undefined]]);
    expect(param(server.watches[0], "resourceVersion")).toBe("5");

    await server.send(
      { type: "ADDED", object: thing("b", 6, "n1") },
      { type: "MODIFIED", object: thing("a", 7, "n2") },
      { type: "MODIFIED", object: thing("a", 7, "n2") },
      { type: "DELETED", object: thing("b", 8, "n1") },
      { type: "DELETED", object: thing("never-seen", 9) },
    );
    expect(told.slice(1)).toEqual([
      ["d/b", "6", undefined],
      ["d/a", "7", "1"],
      ["d/b", undefined, "6"],
    ]);
    expect(informer.byIndex("node", "n1")).toEqual([]);
    expect(informer.byIndex("node", "n2")).toEqual([informer.get("d/a")]);
    await end();
  });

  it("continues a watch that ended where it was, a bookmark included, without a list", async () => {
    const server = new ScriptedServer();
    const { told, end } = await start(server);
    await server.send({ type: "BOOKMARK", object: { metadata: { resourceVersion: "40" } } }, "end");
    expect(server.lists).toHaveLength(1);
    expect(server.watches.map((w) => param(w, "resourceVersion"))).toEqual(["1", "40"]);
    expect(told).toEqual([]);
    await end();
  });

  it("lists anew when its revision expired, telling only what differs (N1, N6)", async () => {
    const server = new ScriptedServer();
    server.state = [thing("a", 1), thing("b", 1), thing("c", 1)];
    const { clock, told, end } = await start(server);
    told.length = 0;
    server.state = [thing("a", 1), thing("b", 9), thing("c", 8, "", "another-uid")];
    server.revision = 9;
    await server.send(new ApiError("Expired", "too old resource version"));
    await clock.advance(1_000);
    expect(server.lists.map((c) => param(c, "resourceVersion"))).toEqual(["0", undefined]);
    expect(told).toEqual([
      ["d/b", "9", "1"],
      ["d/c", undefined, "1"],
      ["d/c", "8", undefined],
    ]);
    server.state = [];
    await server.send(new ApiError("ServiceUnavailable", "connection lost"));
    await clock.advance(1_000);
    expect(param(server.lists[2], "resourceVersion")).toBe("9");
    expect(told.slice(3).map(([key, now]) => [key, now])).toEqual([
      ["d/a", undefined],
      ["d/b", undefined],
      ["d/c", undefined],
    ]);
    await end();
  });

  it("retries a failing list with growing, bounded delays (N8)", async () => {
    const server = new ScriptedServer();
    server.failNext = Array.from({ length: 12 }, () => new ApiError("ServiceUnavailable", "down"));
    const { clock, informer, end } = await start(server);
    await clock.advance(400);
    expect(server.lists.length).toBeLessThanOrEqual(4);
    expect(informer.synced).toBe(false);
    await clock.advance(90_000);
    expect(informer.synced).toBe(true);
    expect(server.lists).toHaveLength(13);
    await end();
  });

  it("does not spin when the server ends every watch at once (N8)", async () => {
    const server = new ScriptedServer();
    const { clock, end } = await start(server);
    for (let i = 0; i < 5; i++) {
      await server.send("end");
      await server.send("end");
    }
    expect(server.watches.length).toBe(1);
    await clock.advance(200);
    expect(server.watches.length).toBe(2);
    await end();
  });

  it("tells a late handler of all there is; one that throws harms no other; a disposed one is silent (N3, N4)", async () => {
    const server = new ScriptedServer();
    server.state = [thing("a", 1)];
    const { informer, end } = await start(server);
    const late: ObjectKey[] = [];
    informer.onChange(() => {
      throw new Error("bug");
    });
    const registration = informer.onChange((key) => void late.push(key));
    expect(late).toEqual(["d/a"]);
    await server.send({ type: "ADDED", object: thing("b", 2) });
    registration[Symbol.dispose]();
    await server.send({ type: "ADDED", object: thing("c", 3) });
    expect(late).toEqual(["d/a", "d/b"]);
    await end();
  });

  it("resyncs on demand, and stops on abort: waiters are rejected, no timer is left", async () => {
    const server = new ScriptedServer();
    server.state = [thing("a", 1)];
    const { clock, told, end } = await start(server, 1_000);
    await clock.advance(2_500);
    expect(told.slice(1)).toEqual([
      ["d/a", "1", "1"],
      ["d/a", "1", "1"],
    ]);
    await end();

    const failing = new ScriptedServer();
    failing.failNext = [new ApiError("ServiceUnavailable", "down")];
    const other = await start(failing);
    const waiter = other.informer.whenSynced(other.stop.signal);
    other.stop.abort(new Error("stopped"));
    await expect(waiter).rejects.toThrow("stopped");
    await other.end();
  });

  it("tells when it shows a write, and when an object is gone", async () => {
    const server = new ScriptedServer();
    server.state = [thing("a", 1, "n1")];
    server.revision = 5;
    const { informer, stop, end } = await start(server);
    const { signal } = stop;
    await informer.whenShows(thing("a", 1, "n1"), signal);
    const seen: string[] = [];
    const note = (what: string, promise: Promise<void>) => promise.then(() => seen.push(what));
    const waits = [
      note("written", informer.whenShows(thing("b", 7, "n1"), signal)),
      note("gone", informer.whenGone(thing("a", 1, "n1"), signal)),
    ];
    await server.send({ type: "ADDED", object: thing("c", 6, "n1") });
    await settle();
    expect(seen).toEqual([]);
    await server.send({ type: "ADDED", object: thing("b", 7, "n1") }, { type: "DELETED", object: thing("a", 8, "n1") });
    await Promise.all(waits);
    expect(seen).toEqual(["written", "gone"]);
    const never = informer.whenShows(thing("d", 9, "n1"), AbortSignal.abort(new Error("stopped")));
    await expect(never).rejects.toThrow("stopped");
    await end();
  });
});
