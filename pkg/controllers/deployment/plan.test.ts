import { describe, expect, test } from "@jest/globals";
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from "../../api/generated/types.ts";
import { DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY } from "./annotations.ts";
import { familyOf } from "./family.ts";
import { planDeployment } from "./plan.ts";
import { type Done, reportOf } from "./status.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString().replace(".000Z", "Z");

const template = (version: string) => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "app", image: `app:${version}` }] },
});

interface DeploymentShape {
  readonly replicas?: number;
  readonly version?: string;
  readonly annotations?: Record<string, string>;
  readonly status?: DeploymentStatus;
  readonly spec?: Partial<NonNullable<Deployment["spec"]>>;
}

function deployment({
  replicas = 3,
  version = "2",
  annotations = {},
  status = {},
  spec = {},
}: DeploymentShape = {}): Deployment {
  return {
    metadata: { name: "web", namespace: "default", uid: "d", generation: 4, annotations },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: template(version),
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
      progressDeadlineSeconds: 600,
      revisionHistoryLimit: 10,
      ...spec,
    },
    status,
  };
}

interface SetShape {
  readonly replicas?: number;
  readonly available?: number;
  readonly revision?: number;
  readonly desired?: number;
  readonly history?: string;
  readonly terminating?: number;
  /** Its status tells of an older spec. */
  readonly unseen?: boolean;
  readonly failure?: string;
}

function replicaSet(version: string, s: SetShape = {}): ReplicaSet {
  const { replicas = 0, available = replicas, revision = Number(version), desired = 3 } = s;
  const { metadata, spec } = template(version);
  return {
    metadata: {
      name: `web-${version}`,
      uid: `rs-${version}`,
      generation: 2,
      creationTimestamp: at(1_000 - Number(version)),
      annotations: {
        [REVISION]: String(revision),
        [DESIRED_REPLICAS]: String(desired),
        [MAX_REPLICAS]: String(desired + 1),
        ...(s.history !== undefined && { [REVISION_HISTORY]: s.history }),
      },
    },
    spec: {
      replicas,
      selector: {},
      template: { metadata: { labels: { ...metadata.labels, "pod-template-hash": version } }, spec },
    },
    status: {
      replicas,
      readyReplicas: available,
      availableReplicas: available,
      observedGeneration: s.unseen ? 1 : 2,
      ...(s.terminating && { terminatingReplicas: s.terminating }),
      ...(s.failure && { conditions: [{ type: "ReplicaFailure", status: "True", reason: s.failure, message: "no" }] }),
    },
  };
}

/** `name from → to` of what changes, and who is made or goes. */
function told(d: Deployment, sets: readonly ReplicaSet[]): readonly string[] {
  const { create, change, delete: gone } = planDeployment(d, sets);
  return [
    ...(create ? [`+ ${create.spec?.replicas ?? 0}`] : []),
    ...change.map((c) => `${c.replicaSet.metadata.name ?? ""} ${c.replicaSet.spec?.replicas ?? 0} → ${c.replicas}`),
    ...gone.map((rs) => `- ${rs.metadata.name ?? ""}`),
  ];
}

const complete = { replicas: 3, updatedReplicas: 3, availableReplicas: 3, observedGeneration: 4 };
const recreate = { strategy: { type: "Recreate" } };

describe("planDeployment", () => {
  test.each<[string, Deployment, ReplicaSet[], string[]]>([
    ["the first ReplicaSet gets all", deployment(), [], ["+ 3"]],
    ["a new template begins beside the old", deployment(), [replicaSet("1", { replicas: 3 })], ["+ 1", "web-1 3 → 2"]],
    ["all is well", deployment(), [replicaSet("1"), replicaSet("2", { replicas: 3 })], []],
    [
      "scaled: the only active one, also an old one before a new one is made",
      deployment({ replicas: 5 }),
      [replicaSet("1", { replicas: 3 })],
      ["web-1 3 → 5"],
    ],
    [
      "scaled in mid-roll-out: in proportion",
      deployment({ replicas: 7 }),
      [replicaSet("1", { replicas: 2 }), replicaSet("2", { replicas: 2, available: 0 })],
      ["web-2 2 → 4", "web-1 2 → 4"],
    ],
    ["paused: no roll-out", deployment({ spec: { paused: true } }), [replicaSet("1", { replicas: 3 })], []],
    [
      "paused: but scaling",
      deployment({ replicas: 5, spec: { paused: true } }),
      [replicaSet("1", { replicas: 3 })],
      ["web-1 3 → 5"],
    ],
    ["paused from the start", deployment({ spec: { paused: true } }), [], []],
    ["Recreate: the old go", deployment({ spec: recreate }), [replicaSet("1", { replicas: 3 })], ["web-1 3 → 0"]],
    ["Recreate: their last Pod is awaited", deployment({ spec: recreate }), [replicaSet("1", { terminating: 1 })], []],
    [
      "Recreate: as is what nobody has seen yet",
      deployment({ spec: recreate }),
      [replicaSet("1", { unseen: true })],
      [],
    ],
    ["Recreate: then come the new", deployment({ spec: recreate }), [replicaSet("1")], ["+ 3"]],
    [
      "history: when complete, the oldest empty ones go",
      deployment({ version: "4", status: complete, spec: { revisionHistoryLimit: 1 } }),
      [replicaSet("1"), replicaSet("2"), replicaSet("3"), replicaSet("4", { replicas: 3 })],
      ["- web-1", "- web-2"],
    ],
    [
      "history: not while a roll-out is under way, not with Pods",
      deployment({ version: "3", spec: { revisionHistoryLimit: 0 } }),
      [replicaSet("1"), replicaSet("3", { replicas: 3 })],
      [],
    ],
  ])("%s", (_, d, sets, expected) => {
    expect(told(d, sets)).toEqual(expected);
  });

  test("the new ReplicaSet: a name and a selector of its own, the next revision, the user's annotations", () => {
    const change = { "kubernetes.io/change-cause": "because", [REVISION]: "7", [DESIRED_REPLICAS]: "9" };
    const d = deployment({ annotations: change, spec: { minReadySeconds: 5 } });
    const { create } = planDeployment(d, [replicaSet("1", { replicas: 3, revision: 7 })]);
    const hash = create?.metadata.labels?.["pod-template-hash"] ?? "";
    const labels = { app: "web", "pod-template-hash": hash };
    expect(hash).toMatch(/^[a-z0-9]{5,10}$/);
    expect(create).toMatchObject({
      metadata: {
        name: `web-${hash}`,
        namespace: "default",
        labels,
        ownerReferences: [{ apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: "d", controller: true }],
      },
      spec: { minReadySeconds: 5, selector: { matchLabels: labels }, template: { metadata: { labels } } },
    });
    expect(create?.metadata.annotations).toEqual({
      "kubernetes.io/change-cause": "because",
      [REVISION]: "8",
      [DESIRED_REPLICAS]: "3",
      [MAX_REPLICAS]: "4",
    });
    const collided = deployment({ status: { collisionCount: 1 }, spec: { minReadySeconds: 5 } });
    expect(planDeployment(collided, []).create?.metadata.name).not.toBe(create?.metadata.name);
  });

  test("an undo finds the ReplicaSet, gives it a new revision and remembers the old one", () => {
    const d = deployment({ version: "1" });
    const [first, second] = [
      replicaSet("1", { revision: 3, history: "1" }),
      replicaSet("2", { replicas: 3, revision: 4 }),
    ];
    const { create, change } = planDeployment(d, [first, second]);
    expect(create).toBeUndefined();
    expect(change[0]?.annotations).toMatchObject({ [REVISION]: "5", [REVISION_HISTORY]: "1,3" });
    expect(change.map((c) => [c.replicaSet.metadata.name, c.replicas])).toEqual([
      ["web-1", 1],
      ["web-2", 2],
    ]);
  });

  test("nothing is done for one that is being deleted", () => {
    const d = deployment();
    d.metadata.deletionTimestamp = at(1);
    expect(told(d, [replicaSet("1", { replicas: 1 })])).toEqual([]);
  });
});

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
