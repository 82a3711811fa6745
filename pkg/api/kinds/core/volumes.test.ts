/** PersistentVolumes and the claims on them. */
import { describe, expect, test } from "@jest/globals";
import type { PersistentVolume, PersistentVolumeClaim } from "../../generated/types.ts";
import { complaints, created, headings, row, updated, writePart } from "../testing/writes.ts";
import { persistentVolumeClaims } from "./persistentvolumeclaim.ts";
import { persistentVolumes } from "./persistentvolume.ts";

const volumeSpec = { capacity: { storage: "1024Mi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/data" } };
const volume = (spec: object = {}) =>
  created(persistentVolumes, { metadata: { name: "v" }, spec: { ...volumeSpec, ...spec } });
const claimSpec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
const claimManifest = (spec: object = {}) => ({ metadata: { name: "c" }, spec: { ...claimSpec, ...spec } });
const claim = (spec: object = {}) => created(persistentVolumeClaims, claimManifest(spec));

test("volumes and claims wait, and hold file systems", () => {
  expect(volume()).toMatchObject({
    spec: {
      persistentVolumeReclaimPolicy: "Retain",
      volumeMode: "Filesystem",
      capacity: { storage: "1Gi" },
      hostPath: { path: "/data", type: "" },
    },
    status: { phase: "Pending" },
  });
  expect(claim()).toMatchObject({ spec: { volumeMode: "Filesystem" }, status: { phase: "Pending" } });
});

test("a claim's source has two names", () => {
  const snapshot = { apiGroup: "snapshot.storage.k8s.io", kind: "VolumeSnapshot", name: "s" };
  expect(claim({ dataSource: snapshot }).spec?.dataSourceRef).toEqual(snapshot);
  expect(claim({ dataSourceRef: snapshot }).spec?.dataSource).toEqual(snapshot);
  expect(claim({ dataSourceRef: { ...snapshot, namespace: "other" } }).spec?.dataSource).toBeUndefined();
});

describe("what kubectl get shows", () => {
  test("of a volume", () => {
    const o = volume({
      accessModes: ["ReadWriteMany", "ReadWriteOnce"],
      storageClassName: "fast",
      claimRef: { namespace: "default", name: "c" },
    });
    o.status = { phase: "Bound", reason: "why" };
    expect(headings(persistentVolumes)).toBe(
      "Name Capacity Access Modes Reclaim Policy Status Claim StorageClass VolumeAttributesClass Reason Age (VolumeMode)",
    );
    const cells = [
      "v",
      "1Gi",
      "RWO,RWX",
      "Retain",
      "Bound",
      "default/c",
      "fast",
      "<unset>",
      "why",
      "60m",
      "Filesystem",
    ];
    expect(row(persistentVolumes, o, true)).toEqual(cells);
    o.metadata.deletionTimestamp = "2026-01-01T01:00:00Z";
    expect(row(persistentVolumes, o)[4]).toBe("Terminating");
  });

  test("of a claim, before and after it is bound", () => {
    const o = claim({ storageClassName: "fast" });
    expect(headings(persistentVolumeClaims)).toBe(
      "Name Status Volume Capacity Access Modes StorageClass VolumeAttributesClass Age (VolumeMode)",
    );
    expect(row(persistentVolumeClaims, o, true)).toEqual([
      ..."c Pending".split(" "),
      "",
      "",
      "",
      ..."fast <unset> 60m Filesystem".split(" "),
    ]);
    o.spec = { ...o.spec, volumeName: "v" };
    o.status = { phase: "Bound", capacity: { storage: "2Gi" }, accessModes: ["ReadWriteOncePod"] };
    expect(row(persistentVolumeClaims, o)).toEqual("c Bound v 2Gi RWOP fast <unset> 60m".split(" "));
  });
});

const local = { hostPath: undefined, local: { path: "/d" } };
const affinity = {
  nodeAffinity: {
    required: { nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["n"] }] }] },
  },
};

describe("a volume is refused", () => {
  test.each<[object, string]>([
    [{}, ""],
    [{ ...local, ...affinity }, ""],
    [{ accessModes: [] }, "spec.accessModes: Required value"],
    [{ accessModes: ["RWO"] }, 'spec.accessModes: Unsupported value: "RWO": supported values: "ReadOnlyMany"'],
    [
      { accessModes: ["ReadWriteOnce", "ReadWriteOncePod"] },
      "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
    ],
    [{ capacity: {} }, "spec.capacity: Required value"],
    [{ capacity: { cpu: "1" } }, 'spec.capacity: Unsupported value: {"cpu":"1"}: supported values: "storage"'],
    [{ capacity: { storage: "0" } }, 'spec.capacity[storage]: Invalid value: "0": must be greater than zero'],
    [{ hostPath: undefined }, "spec: Required value: must specify a volume type"],
    [{ nfs: { server: "s", path: "/" } }, "spec.nfs: Forbidden: may not specify more than 1 volume type"],
    [{ hostPath: { path: "/a/../b" } }, "must not contain '..'"],
    [{ hostPath: undefined, nfs: { path: "x" } }, "spec.nfs.server: Required value"],
    [{ hostPath: undefined, nfs: { server: "s", path: "x" } }, "must be an absolute path"],
    [{ hostPath: undefined, csi: { driver: "d" } }, "spec.csi.volumeHandle: Required value"],
    [local, "Required value: Local volume requires node affinity"],
    [
      { ...local, nodeAffinity: {} },
      "spec.nodeAffinity.required: Required value: must specify required node constraints",
    ],
    [{ persistentVolumeReclaimPolicy: "Keep" }, 'Unsupported value: "Keep": supported values: "Delete", "Recycle"'],
    [
      { hostPath: { path: "/" }, persistentVolumeReclaimPolicy: "Recycle" },
      "may not be 'recycle' for a hostPath mount of '/'",
    ],
    [{ volumeMode: "Raw" }, 'spec.volumeMode: Unsupported value: "Raw": supported values: "Block", "Filesystem"'],
    [{ storageClassName: "A" }, 'spec.storageClassName: Invalid value: "A"'],
    [{ volumeAttributesClassName: "a" }, "spec.csi: Required value: has to be specified when using"],
  ])("%j: %s", (spec, message) => {
    const said = complaints(persistentVolumes, volume(spec)).join("\n");
    expect(message === "" ? said === "" : said.includes(message)).toBe(true);
  });

  test.each<[object, string]>([
    [{ persistentVolumeReclaimPolicy: "Delete", capacity: { storage: "2Gi" } }, ""],
    [{ hostPath: { path: "/other" } }, "spec.persistentvolumesource is immutable after creation"],
    [{ volumeMode: "Block" }, 'volumeMode: Invalid value: "Block": field is immutable'],
    [affinity, ""],
  ])("on update: %j: %s", (spec, message) => {
    const old = volume();
    const next = updated(persistentVolumes, { metadata: { name: "v" }, spec: { ...volumeSpec, ...spec } }, old);
    const said = complaints(persistentVolumes, next, old).join("\n");
    expect(message === "" ? said === "" : said.includes(message)).toBe(true);
  });
});

describe("a claim is refused", () => {
  test.each<[object, string]>([
    [{}, ""],
    [{ accessModes: [] }, "spec.accessModes: Required value: at least 1 access mode is required"],
    [{ resources: {} }, "spec.resources[storage]: Required value"],
    [{ resources: { requests: { storage: "0" } } }, "must be greater than zero"],
    [{ selector: { matchLabels: { "a b": "" } } }, "spec.selector.matchLabels"],
    [
      { dataSource: { kind: "Pod", name: "p" } },
      "spec.dataSource: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
    ],
    [
      {
        dataSource: { kind: "PersistentVolumeClaim", name: "a" },
        dataSourceRef: { kind: "PersistentVolumeClaim", name: "b" },
      },
      "must match dataSourceRef",
    ],
  ])("%j: %s", (spec, message) => {
    const said = complaints(persistentVolumeClaims, claim(spec)).join("\n");
    expect(message === "" ? said === "" : said.includes(message)).toBe(true);
  });

  const size = (storage: string) => ({ resources: { requests: { storage } } });

  test.each<[string, object, Partial<PersistentVolumeClaim["status"] & object>, string]>([
    ["the volume that binds it", { volumeName: "v" }, {}, ""],
    ["the class it lacked", { storageClassName: "fast" }, {}, ""],
    [
      "another mode",
      { accessModes: ["ReadOnlyMany"] },
      {},
      "spec is immutable after creation except resources.requests",
    ],
    ["more, before it is bound", size("2Gi"), {}, "spec is immutable after creation except resources.requests"],
    ["more, when it is bound", size("2Gi"), { phase: "Bound", capacity: { storage: "1Gi" } }, ""],
    [
      "less than there is",
      size("512Mi"),
      { phase: "Bound", capacity: { storage: "1Gi" } },
      "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
    ],
    [
      "less than asked for, but more than there is",
      size("768Mi"),
      { phase: "Bound", capacity: { storage: "512Mi" } },
      "",
    ],
    ["another volume mode", { volumeMode: "Block" }, {}, 'volumeMode: Invalid value: "Block": field is immutable'],
  ])("on update: %s", (_, spec, status, message) => {
    const old = claim();
    old.status = { ...old.status, ...status };
    const next = updated(persistentVolumeClaims, claimManifest(spec), old);
    const said = complaints(persistentVolumeClaims, next, old).join("\n");
    expect(message === "" ? said === "" : said.includes(message)).toBe(true);
  });
});

test("reports change no spec", () => {
  const change = (o: PersistentVolume | PersistentVolumeClaim) => {
    o.spec = {};
    o.status = { phase: "Bound" };
  };
  for (const written of [
    writePart(persistentVolumes, "status", volume(), change),
    writePart(persistentVolumeClaims, "status", claim(), change),
  ]) {
    expect(written.errors).toEqual([]);
    expect(written.next.status?.phase).toBe("Bound");
    expect(written.next.spec?.accessModes).toEqual(["ReadWriteOnce"]);
  }
});
