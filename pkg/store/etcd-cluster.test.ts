import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { EtcdCluster } from "../../test/harness/etcd-cluster.ts";
import { put, text, write } from "./conformance-util.ts";
import { planDefragment } from "./defragment.ts";
import { EtcdStore } from "./etcd.ts";
import { type Store, type StoreEvent, StoreUnavailableError } from "./store.ts";

/** Three members; what becomes of one that dies, freezes, or is alone. */
const LIMIT = 60_000;
/** Within this a member that does not answer has been left, by calls and watches. */
const LEFT_MS = 10_000;
let cluster: EtcdCluster;
beforeAll(async () => {
  cluster = await EtcdCluster.start(3);
}, LIMIT);
afterAll(() => cluster?.stop());

let opened = 0;
/** Begins with the member given. */
function openAt(member: number): EtcdStore {
  const endpoints = [...cluster.endpoints.slice(member), ...cluster.endpoints.slice(0, member)];
  return new EtcdStore({ endpoints, prefix: `/test-${opened++}` });
}

/** What a watcher sees, collected; `until` waits for a value. */
function follow(store: Store, from: bigint) {
  const stop = new AbortController();
  const seen: StoreEvent[] = [];
  let wake = () => {};
  const running = (async () => {
    for await (const event of store.watch("/", from, stop.signal)) {
      if (event.type !== "progress") seen.push(event);
      wake();
    }
  })();
  const last = () => {
    const event = seen.at(-1);
    return event?.type === "put" ? text(event.kv.value) : undefined;
  };
  const until = async (value: string, deadline: number) => {
    const over = AbortSignal.timeout(deadline);
    while (last() !== value) {
      if (over.aborted) throw new Error(`saw ${String(last())} instead of ${value} after ${deadline} ms`);
      await new Promise<void>((resolve) => {
        wake = resolve;
        over.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  };
  return { seen, until, end: async () => (stop.abort(), await running) };
}

/** Retried by the caller, as clients do: an answer that is lost says nothing about the transaction. */
async function writeEventually(store: Store, value: string, deadline: number): Promise<number> {
  const began = performance.now();
  for (;;) {
    try {
      await write(store, put("/key", value));
      return performance.now() - began;
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || performance.now() - began > deadline) throw error;
    }
  }
}

interface Fault {
  /** Whose fault it is, counted from the leader. */
  readonly offset: number;
  readonly begin: (member: number) => Promise<void> | void;
  readonly end: (member: number) => Promise<void> | void;
}

/** The values that a watcher saw, each once; it and all calls began at the member that has the fault. */
async function during({ offset, begin, end }: Fault): Promise<unknown[]> {
  const member = ((await cluster.leader()) + offset) % 3;
  const store = openAt(member);
  const base = await write(store, put("/key", "before"));
  const watch = follow(store, base);
  await watch.until("before", LEFT_MS);
  await begin(member);
  try {
    const [read] = await Promise.all([store.get("/key"), writeEventually(store, "during", LEFT_MS)]);
    expect(["before", "during"]).toContain(text(read.kv?.value));
    await watch.until("during", LEFT_MS);
  } finally {
    await end(member);
  }
  await writeEventually(store, "after", LEFT_MS);
  await watch.until("after", LEFT_MS);
  const revisions = watch.seen.map((event) => event.revision);
  expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => Number(a - b)));
  await watch.end();
  await store.close();
  return [...new Set(watch.seen.map((event) => event.type === "put" && text(event.kv.value)))];
}

const signal = (name: NodeJS.Signals) => (member: number) => void process.kill(cluster.pid(member), name);
const kill = (member: number) => cluster.kill(member);
const restart = (member: number) => cluster.restart(member);
const FAULTS: readonly (Fault & { readonly what: string })[] = [
  { what: "the follower in use is killed", offset: 1, begin: kill, end: restart },
  { what: "the leader is killed", offset: 0, begin: kill, end: restart },
  { what: "the follower in use freezes", offset: 1, begin: signal("SIGSTOP"), end: signal("SIGCONT") },
  { what: "the leader freezes", offset: 0, begin: signal("SIGSTOP"), end: signal("SIGCONT") },
];

describe("of three members", () => {
  test.each(FAULTS)(
    "$what: calls and watches go on with another within seconds",
    async (fault) => {
      expect(await during(fault)).toEqual(["before", "during", "after"]);
    },
    LIMIT,
  );

  test(
    "one that is alone says so at once, and takes no transaction: nothing is unsure",
    async () => {
      const alone = await cluster.leader();
      const [other, third] = [(alone + 1) % 3, (alone + 2) % 3];
      const store = new EtcdStore({ endpoints: [cluster.endpoints[alone] ?? ""], prefix: "/alone", deadlineMs: 6_000 });
      await write(store, put("/key", "before"));
      await Promise.all([cluster.kill(other), cluster.kill(third)]);
      try {
        await expect(store.get("/key")).rejects.toThrow(StoreUnavailableError);
        await expect(write(store, put("/key", "lost"))).rejects.toThrow(/no leader|timed out|Deadline/);
        const { members } = await store.maintenance.status();
        expect(members[0]).toMatchObject({ healthy: false, error: "it knows of no leader" });
      } finally {
        await Promise.all([cluster.restart(other), cluster.restart(third)]);
      }
      expect(text((await store.get("/key")).kv?.value)).toBe("before");
      await store.close();
    },
    LIMIT,
  );

  test(
    "their state: names, versions, sizes, one leader",
    async () => {
      const leader = await cluster.leader();
      const store = openAt(0);
      const { kind, sizeBytes, inUseBytes, members } = await store.maintenance.status();
      expect({ kind, healthy: members.map((m) => m.healthy) }).toEqual({ kind: "etcd", healthy: [true, true, true] });
      expect(members.map((m) => m.name)).toEqual(["m0", "m1", "m2"]);
      expect(members.filter((m) => m.leader).map((m) => m.name)).toEqual([`m${leader}`]);
      expect(members[0]?.version).toMatch(/^3\.\d+\.\d+$/);
      expect(sizeBytes).toBeGreaterThanOrEqual(inUseBytes);
      expect(inUseBytes).toBeGreaterThan(0);
      const partial = new EtcdStore({ endpoints: cluster.endpoints.slice(0, 1) });
      const seen = (await partial.maintenance.status()).members;
      expect(seen.map((m) => [m.name, m.error])).toEqual([
        ["m0", undefined],
        ["m1", "it is not among the endpoints of --store"],
        ["m2", "it is not among the endpoints of --store"],
      ]);
      await partial.close();
      await store.close();
    },
    LIMIT,
  );

  test(
    "what is free is given back, member by member, the leader last",
    async () => {
      const store = openAt(0);
      const value = "x".repeat(1_000_000);
      for (let i = 0; i < 30; i++) await write(store, put("/large", value));
      const { revision } = await store.get("/large");
      await store.compact(revision);
      const lax = { minFreeBytes: 10_000_000, minFreeShare: 0.5 };
      // etcd frees the pages some time after it has compacted, and counts them with the next write.
      let before = await store.maintenance.status();
      while (planDefragment(before, lax).length < 3) {
        await write(store, put("/small", ""));
        before = await store.maintenance.status();
      }
      const steps = planDefragment(before, lax);
      const leader = before.members.find((m) => m.leader);
      expect(steps).toHaveLength(3);
      expect(steps.at(-1)).toEqual({ do: "defragment", endpoint: leader?.endpoint, name: leader?.name });
      for (const step of steps) if (step.do === "defragment") await store.maintenance.defragment?.(step.endpoint);
      const after = await store.maintenance.status();
      for (const [i, member] of after.members.entries()) {
        expect(member.dbSize).toBeLessThan((before.members[i]?.dbSize ?? 0) / 2);
      }
      expect((await store.get("/large")).kv?.value.length).toBe(value.length);
      await store.close();
    },
    LIMIT,
  );
});
