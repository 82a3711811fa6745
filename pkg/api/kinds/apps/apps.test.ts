/** apps/v1, and ReplicationController and PodTemplate, which are of its family. */
import { describe, expect, test } from "@jest/globals";
import type { Scale } from "../../generated/types.ts";
import type { ApiObject } from "../../object.ts";
import type { ResourceDef } from "../../resource.ts";
import { podTemplates } from "../core/podtemplate.ts";
import { replicationControllers } from "../core/replicationcontroller.ts";
import { complaints, created, headings, lines, row, updated, writePart } from "../testing/writes.ts";
import { controllerRevisions } from "./controllerrevision.ts";
import { daemonSets } from "./daemonset.ts";
import { deployments } from "./deployment.ts";
import { replicaSets } from "./replicaset.ts";
import { statefulSets } from "./statefulset.ts";

const template = {
  metadata: { labels: { app: "web" } },
  spec: {
    containers: [
      { name: "web", image: "nginx:1.25", resources: { limits: { cpu: "1" } } },
      { name: "log", image: "fluentd" },
    ],
  },
};
const selector = { matchLabels: { app: "web" } };
const manifest = (spec: object = {}) => ({ metadata: { name: "web" }, spec: { selector, template, ...spec } });

describe("what kubectl get shows", () => {
  const deployment = created(deployments, manifest({ replicas: 3 }));
  deployment.status = { replicas: 4, readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2 };
  const replicaSet = created(
    replicaSets,
    manifest({ replicas: 3, selector: { matchExpressions: [{ key: "app", operator: "In", values: ["web", "api"] }] } }),
  );
  replicaSet.status = { replicas: 3, readyReplicas: 2 };
  const statefulSet = created(statefulSets, manifest({ replicas: 3 }));
  statefulSet.status = { replicas: 3, readyReplicas: 1 };
  const inRack = { ...template, spec: { ...template.spec, nodeSelector: { rack: "a", disk: "ssd" } } };
  const daemonSet = created(daemonSets, manifest({ template: inRack }));
  daemonSet.status = {
    desiredNumberScheduled: 5,
    currentNumberScheduled: 4,
    numberReady: 3,
    numberMisscheduled: 0,
    updatedNumberScheduled: 2,
    numberAvailable: 1,
  };
  const controller = created(replicationControllers, { metadata: { name: "web" }, spec: { template } });
  controller.status = { replicas: 1 };
  const owner = { apiVersion: "apps/v1", kind: "StatefulSet", name: "web", uid: "u", controller: true };
  const revision = created(controllerRevisions, {
    metadata: { name: "web-1", ownerReferences: [owner] },
    data: {},
    revision: 7,
  });
  const pods = created(podTemplates, { metadata: { name: "web" }, template });

  const wide = ["web,log", "nginx:1.25,fluentd"];

  test.each<[string, ResourceDef<never>, ApiObject, string, unknown[], unknown[]]>(
    [
      [
        deployments,
        deployment,
        "Name Ready Up-to-date Available Age (Containers) (Images) (Selector)",
        ["2/3", 1, 2, "60m"],
        [...wide, "app=web"],
      ],
      [
        replicaSets,
        replicaSet,
        "Name Desired Current Ready Age (Containers) (Images) (Selector)",
        [3, 3, 2, "60m"],
        [...wide, "app in (api,web)"],
      ],
      [statefulSets, statefulSet, "Name Ready Age (Containers) (Images)", ["1/3", "60m"], wide],
      [
        daemonSets,
        daemonSet,
        "Name Desired Current Ready Up-to-date Available Node Selector Age (Containers) (Images) (Selector)",
        [5, 4, 3, 2, 1, "disk=ssd,rack=a", "60m"],
        [...wide, "app=web"],
      ],
      [
        replicationControllers,
        controller,
        "Name Desired Current Ready Age (Containers) (Images) (Selector)",
        [1, 1, 0, "60m"],
        [...wide, "app=web"],
      ],
      [controllerRevisions, revision, "Name Controller Revision Age", ["statefulset.apps/web", 7, "60m"], []],
      [podTemplates, pods, "Name Containers Images Pod Labels", [...wide, "app=web"], []],
    ].map(([def, o, ...rest]) => [(def as ResourceDef).kind, def, o, ...rest] as never),
  )("of a %s", (_, def, o, head, cells, more) => {
    expect(headings(def)).toBe(head);
    expect(row(def, o as never)).toEqual([o.metadata.name, ...cells]);
    expect(row(def, o as never, true)).toEqual([o.metadata.name, ...cells, ...more]);
  });
});

describe("defaults", () => {
  test("of a Deployment", () => {
    const o = created(deployments, manifest());
    expect(complaints(deployments, o)).toEqual([]);
    expect(o.status).toEqual({});
    expect(o.spec).toMatchObject({
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" } },
    });
  });

  test("of a template stop where a Pod's begin", () => {
    const spec = created(deployments, manifest()).spec?.template.spec;
    expect(spec).toMatchObject({
      restartPolicy: "Always",
      dnsPolicy: "ClusterFirst",
      terminationGracePeriodSeconds: 30,
    });
    expect(spec?.containers[0]?.resources).toEqual({ limits: { cpu: "1" } });
    for (const field of ["enableServiceLinks", "serviceAccountName", "tolerations", "priority", "preemptionPolicy"]) {
      expect(spec).not.toHaveProperty(field);
    }
  });

  test("of a StatefulSet", () => {
    const claim = {
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    };
    const o = created(statefulSets, manifest({ volumeClaimTemplates: [claim] }));
    expect(complaints(statefulSets, o)).toEqual([]);
    expect(o.spec).toMatchObject({
      podManagementPolicy: "OrderedReady",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      volumeClaimTemplates: [
        {
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          spec: { volumeMode: "Filesystem" },
          status: { phase: "Pending" },
        },
      ],
    });
  });

  test("of a DaemonSet, which counts its templates", () => {
    const o = created(daemonSets, manifest());
    expect(complaints(daemonSets, o)).toEqual([]);
    expect(o.spec?.updateStrategy).toEqual({
      type: "RollingUpdate",
      rollingUpdate: { maxUnavailable: 1, maxSurge: 0 },
    });
    const generation = (d: typeof o) => d.metadata.annotations?.["deprecated.daemonset.template.generation"];
    expect(generation(o)).toBe("1");
    expect(generation(updated(daemonSets, manifest({ minReadySeconds: 5 }), o))).toBe("1");
    const other = { ...template, spec: { containers: [{ name: "web", image: "nginx:1.26" }] } };
    expect(generation(updated(daemonSets, manifest({ template: other }), o))).toBe("2");
  });

  test("of a ReplicationController come from its template", () => {
    const o = created(replicationControllers, { metadata: { name: "web" }, spec: { template } });
    expect(complaints(replicationControllers, o)).toEqual([]);
    expect(o.spec).toMatchObject({ replicas: 1, selector: { app: "web" } });
    expect(o.metadata.labels).toEqual({ app: "web" });
  });

  test.each([deployments, replicaSets, statefulSets, daemonSets] as never as ResourceDef[])(
    "of $kind are the same when filled in twice",
    (def) => {
      const once = created(def, manifest());
      const twice = structuredClone(once);
      def.setDefaults?.(twice);
      expect(twice).toEqual(once);
    },
  );
});

describe("scale", () => {
  const scalable = [deployments, replicaSets, statefulSets, replicationControllers] as never as ResourceDef[];
  test.each(scalable)("of a $kind", (def) => {
    const labels = def.kind === "ReplicationController" ? { selector: selector.matchLabels } : {};
    const o = created(def, manifest({ replicas: 2, ...labels })) as ApiObject & { spec: { replicas: number } };
    const scale = def.subresources["scale"];
    if (scale?.type !== "facet") throw new Error("scale is a facet");
    const read = scale.read(o) as Scale;
    expect(read).toEqual({
      apiVersion: "autoscaling/v1",
      kind: "Scale",
      metadata: { name: "web", namespace: "default", uid: "u-1", creationTimestamp: "2026-01-01T00:00:00Z" },
      spec: { replicas: 2 },
      status: { replicas: 0, selector: "app=web" },
    });
    scale.write(o, { ...read, spec: { replicas: 5 } } as never);
    expect(o.spec).toMatchObject({ replicas: 5, template: { metadata: template.metadata } });
    expect(lines(scale.validate?.({ ...read, spec: { replicas: -1 } } as never))).toEqual([
      "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ]);
  });
});

describe("a status", () => {
  test("changes neither spec nor, of a Deployment, labels", () => {
    const old = created(deployments, manifest());
    const { next, errors } = writePart(deployments, "status", old, (o) => {
      o.metadata.labels = { x: "y" };
      if (o.spec) o.spec.replicas = 9;
      o.status = { replicas: 1, readyReplicas: 1 };
    });
    expect(errors).toEqual([]);
    expect(next).toEqual({ ...old, status: { replicas: 1, readyReplicas: 1 } });
  });

  test("adds up", () => {
    const old = created(statefulSets, manifest());
    old.status = { replicas: 1, collisionCount: 2 };
    const { errors } = writePart(statefulSets, "status", old, (o) => {
      o.status = { replicas: 1, readyReplicas: 2, availableReplicas: -1, collisionCount: 1 };
    });
    expect(errors).toEqual([
      "status.availableReplicas: Invalid value: -1: must be greater than or equal to 0",
      "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
      "status.collisionCount: Invalid value: 1: cannot be decremented",
    ]);
  });

  test("of a ReplicaSet can be selected by", () => {
    const o = created(replicaSets, manifest());
    expect(replicaSets.selectableFields["status.replicas"]?.(o)).toBe("0");
  });
});

describe("updates", () => {
  test("of a StatefulSet leave alone what its Pods are named by", () => {
    const old = created(statefulSets, manifest({ serviceName: "web" }));
    const allowed = updated(statefulSets, manifest({ serviceName: "web", replicas: 5, minReadySeconds: 3 }), old);
    expect(complaints(statefulSets, allowed, old)).toEqual([]);
    const renamed = updated(statefulSets, manifest({ serviceName: "other" }), old);
    expect(complaints(statefulSets, renamed, old)).toEqual([
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ]);
  });

  test.each([deployments, replicaSets, daemonSets] as never as ResourceDef[])("of a $kind keep its selector", (def) => {
    const old = created(def, manifest());
    const labels = { app: "web", tier: "front" };
    const next = updated(
      def,
      manifest({ selector: { matchLabels: labels }, template: { ...template, metadata: { labels } } }),
      old,
    );
    expect(complaints(def, next, old)).toEqual([
      `spec.selector: Invalid value: {"matchLabels":{"app":"web","tier":"front"}}: field is immutable`,
    ]);
  });

  test("of a ControllerRevision keep its data", () => {
    const old = created(controllerRevisions, { metadata: { name: "r" }, data: { a: 1 }, revision: 1 });
    const next = updated(controllerRevisions, { metadata: { name: "r" }, data: { a: 2 }, revision: 2 }, old);
    expect(complaints(controllerRevisions, next, old)).toEqual([`data: Invalid value: {"a":2}: field is immutable`]);
  });

  test("of a PodTemplate are counted", () => {
    const old = created(podTemplates, { metadata: { name: "t" }, template });
    expect(old.metadata.generation).toBe(1);
    expect(updated(podTemplates, { metadata: { name: "t" }, template }, old).metadata.generation).toBe(1);
    expect(
      updated(podTemplates, { metadata: { name: "t" }, template: { spec: template.spec } }, old).metadata.generation,
    ).toBe(2);
  });
});
