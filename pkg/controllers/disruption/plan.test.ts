import { describe, expect, test } from "@jest/globals";
import type { Pod, PodDisruptionBudget } from "../../api/generated/types.ts";
import { planBudget, type FindScale } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 1);
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString();
const budget = (spec: object, status: object = {}): PodDisruptionBudget => ({
  metadata: { name: "b", namespace: "default", generation: 3 },
  spec,
  status,
});
const pod = (name: string, o: { ready?: boolean; owner?: string; going?: boolean } = {}): Pod => ({
  metadata: {
    name,
    namespace: "default",
    ...(o.owner && {
      ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: o.owner, uid: o.owner, controller: true }],
    }),
    ...(o.going && { deletionTimestamp: at(0) }),
  },
  status: { conditions: [{ type: "Ready", status: o.ready === false ? "False" : "True" }] },
});
const owned = (n: number, owner = "rs") => Array.from({ length: n }, (_, i) => pod(`${owner}-${i}`, { owner }));
const scales =
  (replicas: Record<string, number>): FindScale =>
  ({ uid }) => {
    const n = replicas[uid];
    return n === undefined ? undefined : { uid, replicas: n };
  };
const numbers = (spec: object, pods: Pod[], replicas: Record<string, number> = {}, status: object = {}) => {
  const s = planBudget(budget(spec, status), pods, scales(replicas), NOW).status;
  return [s.expectedPods, s.desiredHealthy, s.currentHealthy, s.disruptionsAllowed];
};

describe("a disruption budget", () => {
  test.each<[string, object, Pod[], Record<string, number>, number[]]>([
    ["so many at least", { minAvailable: 2 }, owned(3), {}, [3, 2, 3, 1]],
    ["a share at least, of what is wanted", { minAvailable: "50%" }, owned(3), { rs: 5 }, [5, 3, 3, 0]],
    ["so many at most away", { maxUnavailable: 1 }, owned(3), { rs: 3 }, [3, 2, 3, 1]],
    ["a share at most away, rounded up", { maxUnavailable: "30%" }, owned(4), { rs: 4 }, [4, 2, 4, 2]],
    [
      "of several controllers",
      { maxUnavailable: 1 },
      [...owned(2, "x"), ...owned(2, "y")],
      { x: 2, y: 2 },
      [4, 3, 4, 1],
    ],
    [
      "who is not ready or going does not count",
      { minAvailable: 1 },
      [pod("a"), pod("b", { ready: false }), pod("c", { going: true })],
      {},
      [3, 1, 1, 0],
    ],
    ["no Pods, no disruption", { minAvailable: 0 }, [], {}, [0, 0, 0, 0]],
    ["Pods of nobody, by count", { minAvailable: 1 }, [pod("a"), pod("b")], {}, [2, 1, 2, 1]],
  ])("%s", (_, spec, pods, replicas, expected) => {
    expect(numbers(spec, pods, replicas)).toEqual(expected);
  });

  test("a Pod that was evicted does not count while it is expected to go", () => {
    const status = { disruptedPods: { "rs-0": at(30), "rs-1": at(500), gone: at(1) } };
    const plan = planBudget(budget({ minAvailable: 1 }, status), owned(3), scales({}), NOW);
    expect(plan.status).toMatchObject({ disruptedPods: { "rs-0": at(30) }, currentHealthy: 2, disruptionsAllowed: 1 });
    expect(plan.againAfterMs).toBe(90_000);
  });

  test("the condition says it, and keeps its time", () => {
    const first = planBudget(budget({ minAvailable: 3 }), owned(3), scales({}), NOW).status;
    expect(first).toMatchObject({
      observedGeneration: 3,
      conditions: [{ type: "DisruptionAllowed", status: "False", reason: "InsufficientPods", observedGeneration: 3 }],
    });
    const later = planBudget(budget({ minAvailable: 3 }, first), owned(3), scales({}), NOW + 60_000).status;
    expect(later).toEqual(first);
    const changed = planBudget(budget({ minAvailable: 1 }, first), owned(3), scales({}), NOW + 60_000).status;
    expect(changed.conditions).toMatchObject([
      { status: "True", reason: "SufficientPods", lastTransitionTime: "2026-01-01T00:01:00Z" },
    ]);
  });

  test("what cannot be counted allows nothing", () => {
    const { status, events } = planBudget(
      budget({ maxUnavailable: 1 }, { disruptionsAllowed: 4 }),
      owned(1),
      scales({}),
      NOW,
    );
    expect(status).toMatchObject({
      disruptionsAllowed: 0,
      conditions: [{ status: "False", reason: "SyncFailed", message: 'found no controllers for pod "rs-0"' }],
    });
    expect(events).toMatchObject([{ type: "Warning", reason: "CalculateExpectedPodCountFailed" }]);
  });

  test("Pods of nobody make a share uncertain, and that is said", () => {
    const { events } = planBudget(budget({ maxUnavailable: "10%" }), [pod("a")], scales({}), NOW);
    expect(events.map((e) => e.reason)).toEqual(["UnmanagedPods"]);
  });
});
