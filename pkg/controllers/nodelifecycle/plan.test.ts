import { describe, expect, test } from "@jest/globals";
import type { Node, NodeCondition, Pod, Taint } from "../../api/generated/types.ts";
import { Heartbeats } from "./heartbeats.ts";
import { mustBeUnready, planTaints, silentConditions, unreadyStatus } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const now = "2026-01-01T12:00:00Z";
const before = "2026-01-01T11:00:00Z";

const said = (type: string, status: string): NodeCondition => ({ type, status, lastTransitionTime: before });
const node = (conditions: NodeCondition[], taints: Taint[] = [], unschedulable = false): Node => ({
  metadata: { name: "n1", creationTimestamp: before },
  spec: { taints, ...(unschedulable && { unschedulable }) },
  status: { conditions },
});
const READY = said("Ready", "True");
const taint = (key: string, effect: string): Taint => ({ key: `node.kubernetes.io/${key}`, effect });
const words = (taints: readonly Taint[] | undefined) =>
  taints?.map((t) => `${t.key.replace("node.kubernetes.io/", "")}:${t.effect}`).toSorted((a, b) => (a < b ? -1 : 1));

describe("the taints of a node", () => {
  test.each<[string, Node, boolean, string[] | undefined]>([
    ["ready: none", node([READY]), true, undefined],
    ["never heard of: keeps Pods away", node([]), true, ["not-ready:NoSchedule"]],
    ["not ready", node([said("Ready", "False")]), true, ["not-ready:NoExecute", "not-ready:NoSchedule"]],
    ["unknown", node([said("Ready", "Unknown")]), true, ["unreachable:NoExecute", "unreachable:NoSchedule"]],
    ["unknown, and it is not its turn", node([said("Ready", "Unknown")]), false, ["unreachable:NoSchedule"]],
    ["short of memory", node([READY, said("MemoryPressure", "True")]), true, ["memory-pressure:NoSchedule"]],
    ["short of disk", node([READY, said("DiskPressure", "True")]), true, ["disk-pressure:NoSchedule"]],
    ["short of processes", node([READY, said("PIDPressure", "True")]), true, ["pid-pressure:NoSchedule"]],
    ["without a network", node([READY, said("NetworkUnavailable", "True")]), true, ["network-unavailable:NoSchedule"]],
    ["cordoned", node([READY], [], true), true, ["unschedulable:NoSchedule"]],
    ["uncordoned", node([READY], [taint("unschedulable", "NoSchedule")]), true, []],
    [
      "back: what is not ours stays",
      node(
        [READY],
        [taint("unreachable", "NoExecute"), { key: "gpu", effect: "NoExecute" }, taint("unreachable", "NoSchedule")],
      ),
      true,
      ["gpu:NoExecute"],
    ],
    [
      "from not ready to unknown",
      node([said("Ready", "Unknown")], [taint("not-ready", "NoExecute"), taint("not-ready", "NoSchedule")]),
      true,
      ["unreachable:NoExecute", "unreachable:NoSchedule"],
    ],
    [
      "nowhere to go any more: what has begun is taken back",
      node([said("Ready", "Unknown")], [taint("unreachable", "NoExecute"), taint("unreachable", "NoSchedule")]),
      false,
      ["unreachable:NoSchedule"],
    ],
  ])("%s", (_, n, evict, expected) => {
    const planned = planTaints(n, evict, NOW);
    expect(words(planned)).toEqual(expected);
    const settled = { ...n, spec: { ...n.spec, taints: [...(planned ?? n.spec?.taints ?? [])] } };
    expect(planTaints(settled, evict, NOW + 5_000)).toBeUndefined();
  });

  test("say since when", () => {
    expect(planTaints(node([said("Ready", "Unknown")]), false, NOW)?.[0]?.timeAdded).toBe(now);
  });
});

describe("a node that is silent", () => {
  test("says nothing any more: all that it reported is unknown", () => {
    const planned = silentConditions(
      node([said("DiskPressure", "False"), said("NetworkUnavailable", "False"), READY]),
      NOW,
    );
    const why = { reason: "NodeStatusUnknown", message: "Kubelet stopped posting node status." };
    const never = { reason: "NodeStatusNeverUpdated", message: "Kubelet never posted node status." };
    expect(planned).toEqual([
      { type: "DiskPressure", status: "Unknown", lastTransitionTime: now, ...why },
      said("NetworkUnavailable", "False"),
      { type: "Ready", status: "Unknown", lastTransitionTime: now, ...why },
      { type: "MemoryPressure", status: "Unknown", lastTransitionTime: now, lastHeartbeatTime: before, ...never },
      { type: "PIDPressure", status: "Unknown", lastTransitionTime: now, lastHeartbeatTime: before, ...never },
    ]);
    expect(silentConditions(node([...(planned ?? [])]), NOW)).toBeUndefined();
  });

  const pod = (name: string, ready: string): Pod => ({
    metadata: { name },
    status: { conditions: [{ type: "Ready", status: ready, lastTransitionTime: before }] },
  });
  const all = [pod("a", "True"), pod("b", "False"), pod("c", "True")];
  test.each<[string, NodeCondition[], string[]]>([
    ["of a ready node, no Pod", [READY], []],
    ["of one that never was, none either", [], []],
    ["of one that is not, those that say they are ready and were not told", [said("Ready", "False")], ["a"]],
    ["of one that is unknown, the same", [said("Ready", "Unknown")], ["a"]],
  ])("must be told that it is not ready: %s", (_, conditions, expected) => {
    const told = (p: { metadata: { name?: string } }) => p.metadata.name === "c";
    expect(mustBeUnready(node(conditions), all, told).map((p) => p.metadata.name)).toEqual(expected);
  });

  test("its Pods are not ready from now on", () => {
    const [a] = all;
    expect(a && unreadyStatus(a, NOW)?.conditions).toEqual([
      { type: "Ready", status: "False", lastTransitionTime: now },
    ]);
  });
});

describe("Heartbeats", () => {
  test("B1: what counts is that a sign changes, not what it says", () => {
    const h = new Heartbeats();
    h.beat("n1", "lease", "2031", 0);
    h.beat("n1", "lease", "2031", 4_000);
    expect(h.remaining("n1", 6_000, 4_000)).toBe(2_000);
    h.beat("n1", "status", "2001", 5_000);
    expect(h.remaining("n1", 6_000, 5_000)).toBe(6_000);
    expect(h.remaining("n1", 6_000, 11_000)).toBe(0);
  });

  test("B2: who slept does not blame others", () => {
    const h = new Heartbeats();
    expect(h.remaining("n1", 6_000, 0)).toBe(6_000);
    expect(h.remaining("n1", 6_000, 3_600_000)).toBe(6_000);
    expect(h.remaining("n1", 6_000, 3_606_000)).toBe(0);
    h.restart(3_607_000);
    expect(h.remaining("n1", 6_000, 3_607_000)).toBe(6_000);
  });
});
