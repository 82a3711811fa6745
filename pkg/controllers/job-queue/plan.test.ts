import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Job, Node, Pod, ResourceQuota } from "../../api/generated/types.ts";
import { QUEUE } from "../../api/job-queue.ts";
import { nameOf } from "../../api/object.ts";
import { rfc3339, seededRandom } from "../../util/clock.ts";
import { planQueues, type Verdict, type World } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 1, 12);

const node = (name: string, allocatable: Record<string, string>, spec: Node["spec"] = {}): Node => ({
  metadata: { name },
  spec,
  status: { allocatable: { pods: "100", cpu: "8", memory: "16Gi", ...allocatable } },
});

interface Shape {
  readonly queue?: string;
  readonly pods?: number;
  readonly requests?: Record<string, string>;
  readonly age?: number;
  readonly namespace?: string;
  readonly priority?: number;
  readonly nodeSelector?: Record<string, string>;
}

const job = (name: string, s: Shape = {}): Job => ({
  metadata: {
    name,
    uid: name,
    namespace: s.namespace ?? "default",
    creationTimestamp: rfc3339(NOW - (s.age ?? 60) * 1000),
    labels: { [QUEUE]: s.queue ?? "team" },
    annotations: { priority: `${s.priority ?? 0}` },
  },
  spec: {
    suspend: true,
    parallelism: s.pods ?? 1,
    completions: s.pods ?? 1,
    template: {
      spec: {
        containers: [{ name: "c", resources: { requests: s.requests ?? { gpu: "1" } } }],
        ...(s.nodeSelector && { nodeSelector: s.nodeSelector }),
      },
    },
  },
});

/** A Pod of a Job, or of something that does not end. */
const pod = (name: string, nodeName: string, requests: Record<string, string>, owner = "other", kind = "Job"): Pod => ({
  metadata: {
    name,
    namespace: "default",
    ownerReferences: [{ apiVersion: "v1", kind, name: owner, uid: owner, controller: true }],
  },
  spec: { containers: [{ name: "c", resources: { requests } }], ...(nodeName && { nodeName }) },
  status: { phase: "Running" },
});

const world = (w: Partial<World>): World => ({
  nodes: [node("n1", { gpu: "4" }), node("n2", { gpu: "4" })],
  pods: [],
  quotas: [],
  started: [],
  priorityOf: (o) => Number(o.metadata.annotations?.["priority"] ?? 0),
  now: NOW,
  ...w,
});

const quota = (hard: Record<string, string>, used: Record<string, string> = {}): ResourceQuota => ({
  metadata: { name: "q", namespace: "default" },
  spec: { hard },
  status: { hard, used },
});

const told = (verdicts: readonly Verdict[]) =>
  Object.fromEntries(
    verdicts.map((v) => [nameOf(v.job), v.start ? "starts" : `${v.reason}: ${v.why} (${v.place.place}/${v.place.of})`]),
  );

describe("of Jobs in queues", () => {
  test.each<[string, Job[], Partial<World>, Record<string, string>]>([
    ["all start that fit", [job("a", { pods: 5 }), job("b", { pods: 3 })], {}, { a: "starts", b: "starts" }],
    [
      "what is in use by Pods, on their way, or still to come for Jobs that have started, is not free",
      [job("a", { pods: 4 })],
      {
        pods: [pod("x", "n1", { gpu: "2" }), pod("y", "", { gpu: "1" })],
        started: [job("s", { pods: 2 })],
      },
      { a: "WaitsForResources: waits for 1 gpu: 4 wanted, 3 free (1/1)" },
    ],
    [
      "each is told of all that is lacking, in units that people use",
      [job("a", { pods: 2, requests: { cpu: "4500m", memory: "8Gi", gpu: "2" } })],
      { pods: [pod("x", "n1", { cpu: "7500m", memory: "12Gi" }), pod("y", "n2", { cpu: "1", memory: "6Gi" })] },
      { a: "WaitsForResources: waits for 1500m cpu: 9 wanted, 7500m free, 2Gi memory: 16Gi wanted, 14Gi free (1/1)" },
    ],
    [
      "enough in all is not enough, where it lies apart",
      [job("a", { requests: { gpu: "4" } })],
      { pods: [pod("x", "n1", { gpu: "1" }), pod("y", "n2", { gpu: "1" })] },
      { a: "WaitsForResources: waits for room on nodes: 0 of its 1 Pods would fit (1/1)" },
    ],
    [
      "a small one does not pass the first where it would take what that waits for, but does elsewhere",
      [job("big", { pods: 8, age: 90 }), job("small"), job("other", { requests: { cpu: "1" } })],
      { pods: [pod("x", "n1", { gpu: "1" })] },
      {
        big: "WaitsForResources: waits for 1 gpu: 8 wanted, 7 free (1/2)",
        small: "WaitsForOthers: waits behind default/big: what is free is kept for those before it (2/2)",
        other: "starts",
      },
    ],
    [
      "nor may the first of another queue be starved",
      [
        job("a", { queue: "a", pods: 8, age: 90 }),
        job("b", { queue: "b", pods: 6, age: 80 }),
        job("c", { queue: "c", pods: 1 }),
      ],
      { pods: [pod("x", "n1", { gpu: "4" })] },
      {
        a: "WaitsForResources: waits for 4 gpu: 8 wanted, 4 free (1/1)",
        b: "WaitsForResources: waits for 2 gpu: 6 wanted, 4 free (1/1)",
        c: "WaitsForOthers: waits behind default/a, default/b: what is free is kept for those before it (1/1)",
      },
    ],
    [
      "one that could never start holds up nobody",
      [job("huge", { pods: 9, age: 90 }), job("nowhere", { nodeSelector: { zone: "moon" }, age: 80 }), job("small")],
      {},
      {
        huge: "TooLarge: wants 9 gpu, more than the 8 there are (1/2)",
        nowhere: "TooLarge: wants nodes that match its selector, affinity and tolerations; there are none (2/2)",
        small: "starts",
      },
    ],
    [
      "nor does one that waits for what no Job will set free",
      [job("big", { pods: 8, age: 90 }), job("small")],
      { pods: [pod("x", "n1", { gpu: "2" }, "web", "ReplicaSet")] },
      { big: "WaitsForResources: waits for 2 gpu: 8 wanted, 6 free (1/1)", small: "starts" },
    ],
    [
      "quotas bound a team, and its first keeps what it waits for there, but no node",
      [job("a", { pods: 3, age: 90 }), job("b"), job("c", { namespace: "elsewhere", queue: "other", pods: 8 })],
      { quotas: [quota({ "requests.cpu": "9", pods: "4" }, { pods: "2" })] },
      {
        a: "WaitsForQuota: waits for 1 pods of quota q: 3 wanted, 2 free (1/2)",
        b: "WaitsForQuota: waits for 1 pods of quota q: 1 wanted, 0 free (2/2)",
        c: "starts",
      },
    ],
    [
      "more than the quota will ever allow is too much",
      [job("a", { pods: 5 })],
      { quotas: [quota({ pods: "4" })] },
      { a: "TooLarge: wants 5 pods, more than the 4 that quota q allows (1/1)" },
    ],
    [
      "priority comes first, then age",
      [
        job("young", { age: 10, pods: 8 }),
        job("old", { age: 90, pods: 8 }),
        job("urgent", { priority: 5, age: 1, pods: 8 }),
      ],
      {},
      {
        urgent: "starts",
        old: "WaitsForResources: waits for 8 gpu: 8 wanted, 0 free (1/2)",
        young: "WaitsForResources: waits for 8 gpu: 8 wanted, 0 free (2/2)",
      },
    ],
    [
      "cordoned and tainted nodes are not there",
      [job("a", { pods: 4 })],
      {
        nodes: [
          node("n1", { gpu: "4" }, { unschedulable: true }),
          node("n2", { gpu: "4" }, { taints: [{ key: "k", effect: "NoSchedule" }] }),
          node("n3", { gpu: "1" }),
        ],
      },
      { a: "TooLarge: wants 4 gpu, more than the 1 there are (1/1)" },
    ],
  ])("%s", (_, waiting, w, expected) => {
    expect(told(planQueues(waiting, world(w)))).toEqual(expected);
  });

  test("the first starts in the end, however many small ones keep coming, wherever they are put", () => {
    const running = fc.array(fc.record({ on: fc.constantFrom("n1", "n2"), gpu: fc.integer({ min: 1, max: 4 }) }), {
      maxLength: 6,
    });
    const size = fc.integer({ min: 1, max: 8 });
    fc.assert(
      fc.property(running, size, fc.integer({ min: 1, max: 3 }), fc.integer(), (before, pods, gpu, seed) => {
        const random = seededRandom(seed);
        const free: Record<string, number> = { n1: 4, n2: 4 };
        const alive: { readonly pod: Pod; readonly on: string; readonly gpu: number }[] = [];
        const run = (name: string, on: string, n: number) => {
          if ((free[on] ?? 0) < n) return;
          free[on] = (free[on] ?? 0) - n;
          alive.push({ pod: pod(name, on, { gpu: `${n}` }), on, gpu: n });
        };
        for (const [i, r] of before.entries()) run(`r${i}`, r.on, r.gpu);
        const first = job("first", { pods, age: 900 });
        const starts = (round: number) => {
          const comers = [0, 1, 2].map((i) => job(`s${round}-${i}`, { requests: { gpu: `${gpu}` }, age: 1 }));
          const started = planQueues([first, ...comers], world({ pods: alive.map((a) => a.pod) })).filter(
            (v) => v.start,
          );
          if (started.some((v) => v.job === first)) return true;
          for (const { job: small } of started) {
            const nodes = ["n1", "n2"].filter((n) => (free[n] ?? 0) >= gpu);
            run(nameOf(small), nodes[Math.floor(random() * nodes.length)] ?? "", gpu);
          }
          // What has run longest ends.
          const ended = alive.shift();
          if (ended) free[ended.on] = (free[ended.on] ?? 0) + ended.gpu;
          return false;
        };
        const rounds = Array.from({ length: 40 }, (_, round) => round);
        expect(rounds.some(starts)).toBe(true);
      }),
    );
  });
});
