import { describe, expect, test } from "@jest/globals";
import type { Deployment, ReplicaSet } from "../../api/generated/types.ts";
import { DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY } from "./annotations.ts";
import { planDeployment } from "./plan.ts";
import { at, deployment, replicaSet } from "./testing/objects.ts";

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
