import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { events } from "../api/kinds/core/event.ts";
import { nodes } from "../api/kinds/core/node.ts";
import { pods } from "../api/kinds/core/pod.ts";
import { ApiError } from "../api/status.ts";
import { ApiServer } from "../apiserver/server.ts";
import { Client } from "../client/client.ts";
import type { Call, Transport } from "../client/transport.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { Metrics } from "../util/metrics.ts";
import { node, pod } from "./fakes.ts";
import { runScheduler } from "./scheduler.ts";

/** A control plane in this process on a clock that stands still; `refuse` makes the scheduler's calls fail, `debug` its log. */
async function start() {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock, random: seededRandom(1), log: silent });
  const calls: Call[] = [];
  const faults: { refuse: (call: Call) => ApiError | undefined; debug: (message: string) => void } = {
    refuse: () => undefined,
    debug: () => {},
  };
  const log = { ...silent, debug: (_fields: object, message: string) => faults.debug(message) };
  const direct = server.transport();
  const transport: Transport = {
    call(call, signal) {
      calls.push(call);
      const error = faults.refuse(call);
      return error ? Promise.reject(error) : direct.call(call, signal);
    },
    watch: (call, signal) => direct.watch(call, signal),
  };
  const stop = new AbortController();
  const client = new Client(transport, "default-scheduler");
  const metrics = new Metrics();
  const done = runScheduler({ client, clock, log, random: seededRandom(2), metrics }, stop.signal);
  const api = new Client(direct, "test");
  return {
    clock,
    metrics,
    calls,
    faults,
    nodes: api.resource(nodes),
    pods: api.resource(pods, "default"),
    events: api.resource(events, "default"),
    async end() {
      stop.abort();
      await done;
      await server.close();
      await store.close();
      expect(clock.pending).toBe(0);
    },
  };
}

let c: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  c = await start();
});
afterEach(() => c.end());

const nodeNameOf = async (name: string) => (await c.pods.get(name)).spec?.nodeName;
const conditionOf = async (name: string) =>
  (await c.pods.get(name)).status?.conditions?.find((x) => x.type === "PodScheduled");
const isBinding = (call: Call) => call.subresource === "binding";

describe("runScheduler", () => {
  it("assigns a Pod, and says so", async () => {
    await c.nodes.create(node("n1"));
    await c.pods.create(pod("web"));
    await c.clock.advance(0);
    expect(await nodeNameOf("web")).toBe("n1");
    expect(await conditionOf("web")).toMatchObject({ status: "True" });
    const [event] = (await c.events.list()).items;
    expect(event).toMatchObject({
      reason: "Scheduled",
      message: "Successfully assigned default/web to n1",
      type: "Normal",
      involvedObject: { kind: "Pod", name: "web", namespace: "default" },
      reportingComponent: "default-scheduler",
    });
  });

  it("D3: says why a Pod cannot be placed, and places it once that changes", async () => {
    await c.nodes.create(node("n1", { taints: [{ key: "gpu", value: "true", effect: "NoSchedule" }] }));
    await c.nodes.create(node("n2", { allocatable: { cpu: "1" } }));
    await c.pods.create(pod("web", { requests: { cpu: "2" } }));
    await c.clock.advance(0);
    const message =
      "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {gpu: true}. " +
      "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    expect(await conditionOf("web")).toMatchObject({ status: "False", reason: "Unschedulable", message });
    expect((await c.events.list()).items).toMatchObject([{ reason: "FailedScheduling", type: "Warning", message }]);

    const writes = c.calls.length;
    await c.clock.advance(60_000);
    expect(c.calls.length).toBe(writes); // nothing relevant happened: nothing is tried or written
    const n2 = await c.nodes.get("n2");
    await c.nodes.updateStatus({
      ...n2,
      status: { ...n2.status, allocatable: { cpu: "4", memory: "8Gi", pods: "110" } },
    });
    await c.clock.advance(0);
    expect(await nodeNameOf("web")).toBe("n2");
  });

  it("counts its attempts, and what waits", async () => {
    await c.nodes.create(node("n1", { allocatable: { cpu: "1" } }));
    await c.pods.create(pod("web", { requests: { cpu: "1" } }));
    await c.pods.create(pod("big", { requests: { cpu: "2" } }));
    await c.clock.advance(0);
    const text = await c.metrics.text();
    const profile = 'profile="default-scheduler"';
    expect(text).toContain(`scheduler_schedule_attempts_total{${profile},result="scheduled"} 1`);
    expect(text).toContain(`scheduler_schedule_attempts_total{${profile},result="unschedulable"} 1`);
    expect(text).toContain('scheduler_pending_pods{queue="unschedulable"} 1');
    expect(text).toContain('scheduler_pod_scheduling_sli_duration_seconds_count{attempts="1"} 1');
  });

  it("counts an attempt that breaks off once, however far it came", async () => {
    c.faults.debug = (message) => {
      if (message === "pod unschedulable") throw new Error("made up");
    };
    await c.pods.create(pod("web"));
    await c.clock.advance(0);
    const results = (await c.metrics.text()).match(/(?<=^scheduler_schedule_attempts_total\{.*result=).*/gm);
    expect(results).toEqual(['"error"} 1']);
  });

  it("places a waiting Pod when another one leaves, the more important first", async () => {
    await c.nodes.create(node("n1", { allocatable: { cpu: "1" } }));
    await c.pods.create(pod("first", { requests: { cpu: "1" } }));
    await c.clock.advance(0);
    await c.pods.create(pod("later", { requests: { cpu: "1" } }));
    await c.pods.create(
      pod("urgent", { requests: { cpu: "1" }, priorityClassName: "system-node-critical", priority: 2_000_001_000 }),
    );
    await c.clock.advance(30_000);
    expect([await nodeNameOf("later"), await nodeNameOf("urgent")]).toEqual([undefined, undefined]);
    await c.pods.delete("first", { gracePeriodSeconds: 0 });
    await c.clock.advance(0);
    expect([await nodeNameOf("later"), await nodeNameOf("urgent")]).toEqual([undefined, "n1"]);
  });

  it("lets Pods sleep while nothing happens that could help them", async () => {
    await c.nodes.create(node("small", { allocatable: { cpu: "1" } }));
    await c.nodes.create(node("big", { allocatable: { cpu: "4" } }));
    await c.pods.create(pod("little", { requests: { cpu: "1" }, nodeSelector: { "kubernetes.io/hostname": "small" } }));
    await c.pods.create(pod("large", { requests: { cpu: "4" } }));
    await c.clock.advance(0);
    await c.pods.create(pod("waiting", { requests: { cpu: "2" } }));
    await c.clock.advance(30_000);
    const before = c.calls.length;
    await c.pods.delete("little", { gracePeriodSeconds: 0 });
    await c.clock.advance(30_000);
    expect(c.calls.length).toBe(before);
    await c.pods.delete("large", { gracePeriodSeconds: 0 });
    await c.clock.advance(0);
    expect(await nodeNameOf("waiting")).toBe("big");
  });

  it("D5: room is made once, though the victim takes its time and others leave meanwhile", async () => {
    await c.nodes.create(node("n1", { allocatable: { cpu: "3" } }));
    const held = pod("victim", { requests: { cpu: "2" }, terminationGracePeriodSeconds: 30 });
    await c.pods.create(held);
    await c.pods.create(pod("other", { requests: { cpu: "1" } }));
    await c.clock.advance(0);
    const deletions = () => c.calls.filter((call) => call.verb === "delete").map((call) => call.name);
    await c.pods.create(
      pod("urgent", { requests: { cpu: "2" }, priorityClassName: "system-node-critical", priority: 2_000_001_000 }),
    );
    await c.clock.advance(100);
    const [victim] = deletions();
    expect(victim).toBe("victim");
    await c.pods.delete("other", { gracePeriodSeconds: 0 });
    await c.clock.advance(20_000);
    expect(deletions()).toEqual(["victim"]);
    expect((await c.pods.get("urgent")).status?.nominatedNodeName).toBe("n1");
    await c.pods.delete("victim", { gracePeriodSeconds: 0 });
    await c.clock.advance(10_000);
    expect(await nodeNameOf("urgent")).toBe("n1");
    expect(deletions()).toEqual(["victim"]);
  });

  it("D4: a binding that fails frees its room, and is tried again", async () => {
    await c.nodes.create(node("n1", { allocatable: { cpu: "1" } }));
    c.faults.refuse = (call) => (isBinding(call) ? new ApiError("InternalError", "disk full") : undefined);
    await c.pods.create(pod("web", { requests: { cpu: "1" } }));
    await c.clock.advance(0);
    expect(await nodeNameOf("web")).toBeUndefined();
    expect((await c.events.list()).items).toMatchObject([{ message: "binding rejected: disk full" }]);
    c.faults.refuse = () => undefined;
    await c.clock.advance(1_000);
    expect(await nodeNameOf("web")).toBe("n1");
  });

  it("leaves alone what is not its own: other schedulers' Pods, gated ones, those being deleted", async () => {
    await c.nodes.create(node("n1"));
    await c.pods.create(pod("theirs", { schedulerName: "other" }));
    await c.pods.create(pod("gated", { schedulingGates: [{ name: "wait" }] }));
    const going = pod("going");
    await c.pods.create({ ...going, metadata: { ...going.metadata, finalizers: ["test/hold"] } });
    await c.pods.delete("going");
    await c.clock.advance(60_000);
    const bound = c.calls.filter(isBinding).map((call) => call.name);
    // "going" was there, whole, before it was deleted; after that it must not be bound any more.
    expect(bound.filter((name) => name !== "going")).toEqual([]);
    expect(await nodeNameOf("gated")).toBeUndefined();
  });

  it("D1: a burst never puts more on a node than it holds, though the API lags behind", async () => {
    for (let i = 0; i < 4; i++) await c.nodes.create(node(`n${i}`, { allocatable: { cpu: "1" } }));
    const made = Array.from({ length: 10 }, (_, i) => c.pods.create(pod(`p${i}`, { requests: { cpu: "500m" } })));
    await Promise.all(made);
    await c.clock.advance(0);
    const { items } = await c.pods.list();
    const perNode = new Map<string, number>();
    for (const { spec } of items) if (spec?.nodeName) perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
    expect([...perNode.values()]).toEqual([2, 2, 2, 2]);
    expect(new Set(c.calls.filter(isBinding).map((x) => x.name)).size).toBe(8);
  });

  it("1,000 nodes, 5,000 Pods: each bound once, evenly", async () => {
    const NODES = 1_000;
    const PODS = 5_000;
    for (let i = 0; i < NODES; i++) await c.nodes.create(node(`n${i}`));
    const web = (i: number) =>
      pod(`p${i}`, { requests: { cpu: "100m", memory: "64Mi" }, labels: { app: `app${i % 50}` } });
    for (let i = 0; i < PODS; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => c.pods.create(web(i + j))));
    }
    await c.clock.advanceUntil(() => c.calls.filter(isBinding).length >= PODS);
    const { items } = await c.pods.list();
    const perNode = new Map<string, number>();
    for (const p of items) perNode.set(p.spec?.nodeName ?? "", (perNode.get(p.spec?.nodeName ?? "") ?? 0) + 1);
    expect(perNode.has("")).toBe(false);
    expect(perNode.size).toBeGreaterThan(NODES * 0.99);
    expect(Math.max(...perNode.values())).toBeLessThanOrEqual(8);
    expect(c.calls.filter(isBinding)).toHaveLength(PODS);
  });
});
