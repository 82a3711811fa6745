import { describe, expect, it, test } from "@jest/globals";
import fc from "fast-check";
import type { Pod } from "../../api/generated/types.ts";
import { planReplicas, type Replicated } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString().replace(".000Z", "Z");

interface Shape {
  readonly phase?: string;
  readonly readyFor?: number;
  readonly age?: number;
  readonly node?: string;
  readonly cost?: string;
  readonly restarts?: number;
  readonly deleted?: boolean;
}

function pod(name: string, s: Shape = {}): Pod {
  const { phase = "Running", node = "n1", age = 1_000 } = s;
  return {
    metadata: {
      name,
      labels: { app: "web" },
      creationTimestamp: at(age),
      ...(s.cost !== undefined && { annotations: { "controller.kubernetes.io/pod-deletion-cost": s.cost } }),
      ...(s.deleted && { deletionTimestamp: at(0) }),
    },
    spec: { containers: [], ...(node && { nodeName: node }) },
    status: {
      phase,
      ...(s.readyFor !== undefined && {
        conditions: [{ type: "Ready", status: "True", lastTransitionTime: at(s.readyFor) }],
      }),
      containerStatuses: [{ name: "c", image: "i", imageID: "", ready: true, restartCount: s.restarts ?? 0 }],
    },
  };
}

const wanted = (replicas: number, more: Partial<Replicated> = {}): Replicated => ({
  replicas,
  minReadySeconds: 0,
  templateLabels: [{ key: "app", operator: "In", values: ["web"] }],
  generation: 1,
  deleted: false,
  status: undefined,
  ...more,
});
const nobody = () => 0;

describe("planReplicas", () => {
  test.each<[string, Pod, Pod]>([
    ["has no node before one that has", pod("b", { node: "" }), pod("a", { readyFor: 9 })],
    ["is pending before one that runs", pod("b", { phase: "Pending" }), pod("a")],
    ["is not ready before one that is", pod("b"), pod("a", { readyFor: 9 })],
    ["costs less before one that costs more", pod("b", { cost: "-1" }), pod("a")],
    ["became ready later", pod("b", { readyFor: 10 }), pod("a", { readyFor: 900 })],
    ["restarted more often", pod("b", { restarts: 3 }), pod("a", { restarts: 1 })],
    ["is younger", pod("b", { age: 10 }), pod("a", { age: 1_000 })],
    ["comes first by name, all else being equal", pod("a"), pod("b")],
  ])("of two, the one goes that %s", (_, goes, stays) => {
    const plan = planReplicas(wanted(1), [stays, goes], nobody, NOW);
    expect(plan.delete.map((p) => p.metadata.name)).toEqual([goes.metadata.name]);
    expect(plan.create).toBe(0);
  });

  it("takes from the most crowded node first", () => {
    const pods = [pod("a", { readyFor: 9, node: "n1" }), pod("b", { readyFor: 9, node: "n2" })];
    const crowd = (node: string) => (node === "n2" ? 2 : 1);
    expect(planReplicas(wanted(1), pods, crowd, NOW).delete.map((p) => p.metadata.name)).toEqual(["b"]);
  });

  it("counts what is there, and looks again when a ready Pod becomes available", () => {
    const pods = [pod("a", { readyFor: 60 }), pod("b", { readyFor: 4 }), pod("c"), pod("d", { deleted: true })];
    const plan = planReplicas(wanted(3, { minReadySeconds: 10 }), pods, nobody, NOW);
    expect(plan).toEqual({
      create: 0,
      delete: [],
      lookAgainAt: NOW + 6_000,
      status: {
        replicas: 3,
        fullyLabeledReplicas: 3,
        readyReplicas: 2,
        availableReplicas: 1,
        terminatingReplicas: 1,
        observedGeneration: 1,
      },
    });
  });

  it("says why a write failed, once, and takes it back", () => {
    const failure = { reason: "FailedCreate", message: "exceeded quota" } as const;
    const { status } = planReplicas(wanted(1), [], nobody, NOW, failure);
    const condition = { type: "ReplicaFailure", status: "True", ...failure, lastTransitionTime: at(0) };
    expect(status.conditions).toEqual([condition]);
    const later = { reason: "FailedCreate", message: "another" } as const;
    expect(planReplicas(wanted(1, { status }), [], nobody, NOW + 9_000, later).status.conditions).toEqual([condition]);
    expect(planReplicas(wanted(1, { status }), [], nobody, NOW).status.conditions).toBeUndefined();
  });

  it("leaves everything alone when it is being deleted itself", () => {
    const plan = planReplicas(wanted(5, { deleted: true }), [pod("a")], nobody, NOW);
    expect(plan).toMatchObject({ create: 0, delete: [] });
  });

  test("whatever there is, what it does leads to as many as wanted, and never takes a ready Pod before one that is not", () => {
    const shape = fc.record({
      phase: fc.constantFrom("Pending", "Running"),
      readyFor: fc.option(fc.nat(1_000), { nil: undefined }),
      deleted: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 20 }), fc.nat(20), (shapes, replicas) => {
        const pods = shapes.map((s, i) =>
          pod(`p${i}`, {
            phase: s.phase,
            deleted: s.deleted,
            ...(s.readyFor !== undefined && { readyFor: s.readyFor }),
          }),
        );
        const plan = planReplicas(wanted(replicas), pods, nobody, NOW);
        const active = pods.filter((p) => !p.metadata.deletionTimestamp);
        expect(active.length + plan.create - plan.delete.length).toBe(replicas);
        const ready = (p: { status?: { conditions?: readonly unknown[] } }) => (p.status?.conditions ? 1 : 0);
        const running = (p: { status?: { phase?: string } }) => (p.status?.phase === "Running" ? 1 : 0);
        const kept = active.filter((p) => !plan.delete.includes(p));
        for (const gone of plan.delete) {
          for (const stays of kept) {
            expect([running(gone), ready(gone)] <= [running(stays), ready(stays)]).toBe(true);
          }
        }
      }),
    );
  });
});
