import { describe, expect, test } from "@jest/globals";
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from "../../api/generated/types.ts";
import { familyOf } from "./family.ts";
import { type Done, reportOf } from "./status.ts";
import { at, deployment, type DeploymentShape, NOW, replicaSet } from "./testing/objects.ts";

describe("reportOf", () => {
  const report = (d: Deployment, sets: readonly ReplicaSet[], done: Done = { mode: "rollout" }) =>
    reportOf(d, familyOf(d, sets), done, NOW);
  const progressing = (reason: string, secondsAgo: number, status = "True"): DeploymentCondition => ({
    type: "Progressing",
    status,
    reason,
    message: "as it was",
    lastUpdateTime: at(secondsAgo),
    lastTransitionTime: at(secondsAgo),
  });
  const with_ = (condition: DeploymentCondition, more: DeploymentStatus = {}, spec: DeploymentShape["spec"] = {}) =>
    deployment({ status: { ...more, conditions: [condition] }, spec });

  test("counts over all ReplicaSets", () => {
    const sets = [
      replicaSet("1", { replicas: 2, available: 1, terminating: 1 }),
      replicaSet("2", { replicas: 2, available: 0 }),
    ];
    const { conditions: _, ...counts } = report(deployment({ status: { collisionCount: 2 } }), sets).status;
    expect(counts).toEqual({
      observedGeneration: 4,
      replicas: 4,
      updatedReplicas: 2,
      readyReplicas: 1,
      availableReplicas: 1,
      unavailableReplicas: 3,
      terminatingReplicas: 1,
      collisionCount: 2,
    });
  });

  const half = [replicaSet("1", { replicas: 2 }), replicaSet("2", { replicas: 2, available: 0 })];
  const halfStatus = { replicas: 4, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };
  const all = [replicaSet("1"), replicaSet("2", { replicas: 3 })];
  const paused = { paused: true };
  const endless = { progressDeadlineSeconds: 2 ** 31 - 1 };

  test.each<[string, Deployment, readonly ReplicaSet[], Done, string]>([
    [
      "a new one was made",
      deployment({ status: halfStatus }),
      half,
      { mode: "rollout", created: "web-2" },
      "True NewReplicaSetCreated",
    ],
    ["none could be made", deployment(), [], { mode: "rollout", failure: "no" }, "False ReplicaSetCreateError"],
    ["one was there", deployment({ status: halfStatus }), half, { mode: "rollout" }, "True FoundNewReplicaSet"],
    [
      "there are more",
      with_(progressing("NewReplicaSetCreated", 9)),
      half,
      { mode: "rollout" },
      "True ReplicaSetUpdated",
    ],
    [
      "nothing moves, yet",
      with_(progressing("ReplicaSetUpdated", 600), halfStatus),
      half,
      { mode: "rollout" },
      "True ReplicaSetUpdated",
    ],
    [
      "nothing moves for too long",
      with_(progressing("ReplicaSetUpdated", 601), halfStatus),
      half,
      { mode: "rollout" },
      "False ProgressDeadlineExceeded",
    ],
    [
      "all are there",
      with_(progressing("ReplicaSetUpdated", 601)),
      all,
      { mode: "rollout" },
      "True NewReplicaSetAvailable",
    ],
    [
      "too late, but all are there",
      with_(progressing("ProgressDeadlineExceeded", 9, "False")),
      all,
      { mode: "rollout" },
      "True NewReplicaSetAvailable",
    ],
    [
      "after a success a Pod fails: no roll-out, no deadline",
      with_(progressing("NewReplicaSetAvailable", 9_000), { replicas: 3, updatedReplicas: 3 }),
      [replicaSet("2", { replicas: 3, available: 2 })],
      { mode: "rollout" },
      "True NewReplicaSetAvailable",
    ],
    [
      "it is paused",
      with_(progressing("ReplicaSetUpdated", 9), {}, paused),
      half,
      { mode: "paused" },
      "Unknown DeploymentPaused",
    ],
    [
      "it is paused when it had failed",
      with_(progressing("ProgressDeadlineExceeded", 9, "False"), {}, paused),
      half,
      { mode: "paused" },
      "False ProgressDeadlineExceeded",
    ],
    [
      "it goes on, after a long pause",
      with_(progressing("DeploymentPaused", 9_000, "Unknown"), halfStatus),
      half,
      { mode: "rollout" },
      "Unknown DeploymentResumed",
    ],
    ["there is no deadline", with_(progressing("ReplicaSetUpdated", 9), {}, endless), half, { mode: "rollout" }, ""],
  ])("Progressing: %s", (_, d, sets, done, expected) => {
    const { status } = report(d, sets, done);
    const c = status.conditions?.find((x) => x.type === "Progressing");
    expect(c ? `${c.status} ${c.reason ?? ""}` : "").toBe(expected);
  });

  test("looks again when the deadline will have passed, and not when there is nothing to wait for", () => {
    const waiting = with_(progressing("ReplicaSetUpdated", 100), halfStatus);
    expect(report(waiting, half).lookAgainAt).toBe(NOW + 501_000);
    expect(report(deployment(), all).lookAgainAt).toBe(Infinity);
    expect(report(waiting, half, { mode: "scaled" }).lookAgainAt).toBe(Infinity);
  });

  test("progress is news each time, but a transition only when the status changes", () => {
    const { status } = report(with_(progressing("ReplicaSetUpdated", 100)), half);
    const c = status.conditions?.find((x) => x.type === "Progressing");
    expect(c).toMatchObject({ lastUpdateTime: at(0), lastTransitionTime: at(100) });
  });

  test.each<[number, string]>([
    [3, "True MinimumReplicasAvailable"],
    [2, "True MinimumReplicasAvailable"],
    [1, "False MinimumReplicasUnavailable"],
  ])("of three, one of which may be lacking, %i are available", (available, expected) => {
    const { status } = report(deployment(), [replicaSet("2", { replicas: 3, available })]);
    const c = status.conditions?.find((x) => x.type === "Available");
    expect(`${c?.status ?? ""} ${c?.reason ?? ""}`).toBe(expected);
  });

  test("says what its ReplicaSets cannot do, for as long as they cannot", () => {
    const failing = [replicaSet("1", { failure: "FailedDelete" }), replicaSet("2", { failure: "FailedCreate" })];
    const { status } = report(deployment(), failing);
    expect(status.conditions?.find((c) => c.type === "ReplicaFailure")).toMatchObject({
      status: "True",
      reason: "FailedCreate",
    });
    expect(report(deployment({ status }), all).status.conditions?.map((c) => c.type)).not.toContain("ReplicaFailure");
  });
});
