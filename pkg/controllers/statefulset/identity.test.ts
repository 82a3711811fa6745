import { describe, expect, it, test } from "@jest/globals";
import type { StatefulSet } from "../../api/generated/types.ts";
import { claimOwners, isStale } from "./claims.ts";
import { claimsAt, isClaimOf, ordinalOf, podAt } from "./identity.ts";

const template = {
  metadata: { labels: { app: "db" } },
  spec: {
    containers: [{ name: "db", image: "db" }],
    volumes: [
      { name: "data", emptyDir: {} },
      { name: "config", configMap: { name: "db" } },
    ],
  },
};
const set: StatefulSet = {
  metadata: { name: "db", namespace: "shop", uid: "u-set" },
  spec: {
    serviceName: "headless",
    selector: { matchLabels: { app: "db" } },
    template,
    volumeClaimTemplates: [
      { metadata: { name: "data", labels: { tier: "gold" } }, spec: { storageClassName: "fast" } },
    ],
  },
};

test.each<[string, number | undefined]>([
  ["db-0", 0],
  ["db-17", 17],
  ["db-017", undefined],
  ["db-", undefined],
  ["db-x-1", undefined],
  ["web-1", undefined],
  ["db", undefined],
])("the ordinal in %s is %s", (name, ordinal) => {
  expect(ordinalOf("db", { metadata: { name } })).toBe(ordinal);
});

test("a replica is known by its name, its labels, its host name and its storage", () => {
  const pod = podAt(set, 3, { template, revision: "db-abc" });
  expect(pod.metadata).toMatchObject({
    name: "db-3",
    namespace: "shop",
    labels: {
      app: "db",
      "statefulset.kubernetes.io/pod-name": "db-3",
      "apps.kubernetes.io/pod-index": "3",
      "controller-revision-hash": "db-abc",
    },
    ownerReferences: [{ kind: "StatefulSet", name: "db", uid: "u-set", controller: true }],
  });
  expect(pod.metadata.generateName).toBeUndefined();
  expect(pod.spec).toMatchObject({ hostname: "db-3", subdomain: "headless" });
  expect(pod.spec?.volumes).toEqual([
    { name: "data", persistentVolumeClaim: { claimName: "data-db-3" } },
    { name: "config", configMap: { name: "db" } },
  ]);
  expect(template.spec.volumes).toHaveLength(2);
});

test("its claims are named after it, and carry the labels that select it", () => {
  const [claim] = claimsAt(set, 3);
  expect(claim).toMatchObject({
    metadata: { name: "data-db-3", namespace: "shop", labels: { tier: "gold", app: "db" } },
    spec: { storageClassName: "fast" },
  });
  expect(isClaimOf(set, "data-db-3")).toBe(true);
  expect(isClaimOf(set, "data-web-3")).toBe(false);
});

describe("claimOwners", () => {
  const pod = { metadata: { name: "db-3", namespace: "shop", uid: "u-pod" } };
  const bySet = { kind: "StatefulSet", name: "db", uid: "u-set", controller: true };
  const byPod = { kind: "Pod", name: "db-3", uid: "u-pod", controller: true };
  const policy = (whenDeleted: string, whenScaled: string): StatefulSet => ({
    ...set,
    spec: { ...set.spec, persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled } } as never,
  });
  test.each<[string, string, boolean, object[]]>([
    ["Retain", "Retain", false, []],
    ["Retain", "Retain", true, []],
    ["Delete", "Retain", false, [bySet]],
    ["Delete", "Retain", true, [bySet]],
    ["Retain", "Delete", false, []],
    ["Retain", "Delete", true, [byPod]],
    ["Delete", "Delete", false, [bySet]],
    ["Delete", "Delete", true, [byPod]],
  ])("whenDeleted %s, whenScaled %s, scaled away %s", (whenDeleted, whenScaled, scaledDown, owners) => {
    const owner = policy(whenDeleted, whenScaled);
    const stranger = { apiVersion: "v1", kind: "ConfigMap", name: "c", uid: "u-other" };
    for (const before of [[], [{ ...bySet, apiVersion: "apps/v1" }], [{ ...byPod, apiVersion: "v1" }]]) {
      const claim = { metadata: { name: "data-db-3", ownerReferences: [stranger, ...before] } };
      const after = claimOwners(owner, claim, { object: pod, scaledDown }) ?? claim.metadata.ownerReferences;
      expect(after).toMatchObject([stranger, ...owners]);
      const again = { metadata: { name: "data-db-3", ownerReferences: after } };
      expect(claimOwners(owner, again, { object: pod, scaledDown })).toBeUndefined();
    }
  });

  it("leaves a claim alone that something else manages", () => {
    const other = { apiVersion: "acme.com/v1", kind: "Disk", name: "d", uid: "u-disk", controller: true };
    const claim = { metadata: { name: "data-db-3", ownerReferences: [other] } };
    expect(claimOwners(policy("Delete", "Delete"), claim, { object: pod, scaledDown: true })).toBeUndefined();
  });

  it("sees that a claim belongs to a Pod before", () => {
    const claim = { metadata: { ownerReferences: [{ ...byPod, apiVersion: "v1" }] } };
    expect(isStale("db", 3, claim)).toBe(true);
    expect(isStale("db", 4, claim)).toBe(false);
  });
});
