import { expect, test } from "@jest/globals";
import type { Node, Pod } from "../../api/generated/types.ts";
import { lastStatus, planPodGc } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const now = "2026-01-01T12:00:00Z";
const pod = (
  name: string,
  o: { node?: string; phase?: string; leaving?: boolean; born?: string; evicted?: boolean },
): Pod => ({
  metadata: {
    name,
    creationTimestamp: o.born ?? now,
    ...(o.leaving && { deletionTimestamp: now }),
  },
  spec: { containers: [], ...(o.node !== undefined && { nodeName: o.node }) },
  status: { phase: o.phase ?? "Running", ...(o.evicted && { reason: "Evicted" }) },
});
const off = { key: "node.kubernetes.io/out-of-service", effect: "NoExecute" };
const node = (name: string, ready: string, taints = [] as (typeof off)[]): Node => ({
  metadata: { name },
  spec: { taints },
  status: { conditions: [{ type: "Ready", status: ready }] },
});
const nodes = [node("up", "True"), node("lost", "Unknown"), node("off", "Unknown", [off]), node("odd", "True", [off])];

test.each<[string, Pod, string | undefined]>([
  ["runs where it should", pod("p", { node: "up" }), undefined],
  ["on a node that is gone", pod("p", { node: "gone" }), "Orphaned"],
  ["on a node that may be about to come", pod("p", { node: "new" }), undefined],
  ["leaves a lost node: it may run there still", pod("p", { node: "lost", leaving: true }), undefined],
  ["leaves a node that is off", pod("p", { node: "off", leaving: true }), "OutOfService"],
  ["leaves a node that is said to be off, but is not", pod("p", { node: "odd", leaving: true }), undefined],
  ["stays on a node that is off", pod("p", { node: "off" }), undefined],
  ["leaves, and never was anywhere", pod("p", { leaving: true }), "Unscheduled"],
  ["waits for a node", pod("p", { phase: "Pending" }), undefined],
])("a Pod that %s", (_, p, expected) => {
  const nodeOf = (name: string) => nodes.find((n) => n.metadata.name === name);
  const doomed = planPodGc([p], { nodeOf, isGone: (n) => n === "gone", terminatedThreshold: 1 });
  expect(doomed.map((d) => d.reason)).toEqual(expected === undefined ? [] : [expected]);
});

test("of those that have ended, the evicted go first, then the oldest; each once", () => {
  const all = [
    pod("young", { phase: "Succeeded", born: "2026-01-01T11:00:00Z" }),
    pod("old", { phase: "Failed", born: "2026-01-01T09:00:00Z" }),
    pod("evicted", { phase: "Failed", born: "2026-01-01T11:30:00Z", evicted: true }),
    pod("runs", { born: "2026-01-01T08:00:00Z" }),
    pod("older", { phase: "Succeeded", born: "2026-01-01T08:00:00Z", node: "gone" }),
  ];
  const o = { nodeOf: () => undefined, isGone: (n: string) => n === "gone", terminatedThreshold: 1 };
  const doomed = planPodGc(all, o).map((d) => `${d.pod.metadata.name}: ${d.reason}`);
  expect(doomed).toEqual(["older: Orphaned", "evicted: Terminated", "old: Terminated"]);
});

test("nothing is left to report its end, so that is written; one that has ended keeps what it said", () => {
  expect(lastStatus({ pod: pod("p", { node: "gone" }), reason: "Orphaned" }, NOW)).toEqual({
    phase: "Failed",
    conditions: [
      {
        type: "DisruptionTarget",
        status: "True",
        reason: "DeletionByPodGC",
        message: "PodGC: node no longer exists",
        lastTransitionTime: now,
      },
    ],
  });
  expect(lastStatus({ pod: pod("p", { node: "off" }), reason: "OutOfService" }, NOW)).toEqual({ phase: "Failed" });
  expect(lastStatus({ pod: pod("p", { phase: "Succeeded" }), reason: "Orphaned" }, NOW)).toBeUndefined();
});
