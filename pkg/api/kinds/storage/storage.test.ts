import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../../object.ts";
import type { ResourceDef } from "../../resource.ts";
import { complaints, created, headings, row, updated, writePart } from "../testing/writes.ts";
import { csiDrivers } from "./csidriver.ts";
import { csiNodes } from "./csinode.ts";
import { csiStorageCapacities } from "./csistoragecapacity.ts";
import { isDefaultStorageClass, storageClasses } from "./storageclass.ts";
import { volumeAttachments } from "./volumeattachment.ts";
import { volumeAttributesClasses } from "./volumeattributesclass.ts";

const named = (rest: object, metadata: object = {}) => ({ metadata: { name: "x", ...metadata }, ...rest });
const attachment = { spec: { attacher: "csi.example.com", nodeName: "n1", source: { persistentVolumeName: "pv" } } };
const driver = { name: "csi.example.com", nodeID: "n-1" };

describe("what kubectl get shows", () => {
  /** A good one is accepted, and looks like this. */
  function shows<T extends ApiObject>(def: ResourceDef<T>, manifest: object, heads: string, cells: unknown[]) {
    test(`of ${def.plural}: ${cells.join(" ")}`, () => {
      const o = created(def, manifest);
      expect(complaints(def, o)).toEqual([]);
      expect(headings(def)).toBe(heads);
      expect(row(def, o, true)).toEqual(cells);
    });
  }
  const classes = "Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age";
  const annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
  shows(storageClasses, named({ provisioner: "p" }), classes, ["x", "p", "Delete", "Immediate", false, "60m"]);
  shows(
    storageClasses,
    named({ provisioner: "p", allowVolumeExpansion: true, reclaimPolicy: "Retain" }, { annotations }),
    classes,
    ["x (default)", "p", "Retain", "Immediate", true, "60m"],
  );
  const attached = ["x", "csi.example.com", "pv", "n1", false, "60m"];
  shows(volumeAttachments, named(attachment), "Name Attacher PV Node Attached Age", attached);
  const drivers = "Name AttachRequired PodInfoOnMount StorageCapacity TokenRequests RequiresRepublish Modes Age";
  shows(csiDrivers, named({}), drivers, ["x", true, false, false, "<unset>", false, "Persistent", "60m"]);
  shows(
    csiDrivers,
    named({ spec: { attachRequired: false, tokenRequests: [{ audience: "a" }, { audience: "b" }] } }),
    drivers,
    ["x", false, false, false, "a,b", false, "Persistent", "60m"],
  );
  shows(csiNodes, named({ spec: { drivers: [driver] } }), "Name Drivers Age", ["x", 1, "60m"]);
  const capacity = named({ storageClassName: "fast", capacity: "1024Mi" });
  shows(csiStorageCapacities, capacity, "Name StorageClassName Capacity", ["x", "fast", "1Gi"]);
  const attributes = named({ driverName: "csi.example.com", parameters: { iops: "1" } });
  shows(volumeAttributesClasses, attributes, "Name DriverName Age", ["x", "csi.example.com", "60m"]);
});

test("the default class says so itself", () => {
  const o = created(storageClasses, named({ provisioner: "p" }));
  expect(isDefaultStorageClass(o)).toBe(false);
  o.metadata.annotations = { "storageclass.beta.kubernetes.io/is-default-class": "true" };
  expect(isDefaultStorageClass(o)).toBe(true);
});

describe("refused", () => {
  function refuses<T extends ApiObject>(def: ResourceDef<T>, rest: object, message: string, before?: object) {
    test(`${def.plural}: ${message}`, () => {
      const old = before && created(def, named(before));
      const next = old ? updated(def, named(rest), old) : created(def, named(rest));
      expect(complaints(def, next, old).join("\n")).toContain(message);
    });
  }
  const p = { provisioner: "p" };
  refuses(storageClasses, {}, "provisioner: Required value");
  refuses(
    storageClasses,
    { ...p, reclaimPolicy: "Keep" },
    'reclaimPolicy: Unsupported value: "Keep": supported values: "Delete", "Retain"',
  );
  refuses(storageClasses, { ...p, volumeBindingMode: "Later" }, 'volumeBindingMode: Unsupported value: "Later"');
  refuses(
    storageClasses,
    { ...p, allowedTopologies: [{ matchLabelExpressions: [{ key: "zone" }] }] },
    "allowedTopologies[0].matchLabelExpressions[0].values: Required value",
  );
  refuses(
    storageClasses,
    { ...p, parameters: { a: "2" } },
    "parameters: Forbidden: updates to parameters are forbidden.",
    { ...p, parameters: { a: "1" } },
  );
  refuses(storageClasses, { provisioner: "q" }, "provisioner: Forbidden: updates to provisioner are forbidden.", p);
  refuses(storageClasses, { ...p, volumeBindingMode: "WaitForFirstConsumer" }, "field is immutable", p);
  refuses(volumeAttachments, {}, "spec.attacher: Required value");
  refuses(
    volumeAttachments,
    { spec: { ...attachment.spec, source: {} } },
    "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
  );
  refuses(volumeAttachments, { spec: { ...attachment.spec, nodeName: "n2" } }, "field is immutable", attachment);
  refuses(
    csiDrivers,
    { spec: { fsGroupPolicy: "All" } },
    'spec.fsGroupPolicy: Unsupported value: "All": supported values: "File", "None", "ReadWriteOnceWithFSType"',
  );
  refuses(
    csiDrivers,
    { spec: { attachRequired: false } },
    "spec.attachRequired: Invalid value: false: field is immutable",
    {},
  );
  refuses(csiNodes, { spec: { drivers: [{ name: "d" }] } }, "spec.drivers[0].nodeID: Required value");
  refuses(
    csiNodes,
    { spec: { drivers: [driver, driver] } },
    'spec.drivers[1].name: Duplicate value: "csi.example.com"',
  );
  refuses(csiNodes, { spec: { drivers: [{ ...driver, nodeID: "n-2" }] } }, "field is immutable", {
    spec: { drivers: [driver] },
  });
  refuses(
    csiStorageCapacities,
    { capacity: "-1" },
    'capacity: Invalid value: "-1": must be greater than or equal to 0',
  );
  refuses(csiStorageCapacities, { storageClassName: "b" }, 'storageClassName: Invalid value: "b": field is immutable', {
    storageClassName: "a",
  });
  refuses(
    volumeAttributesClasses,
    { driverName: "d" },
    "parameters: Required value: must contain at least one key/value pair",
  );
  refuses(volumeAttributesClasses, { driverName: "d", parameters: { a: "2" } }, "field is immutable", {
    driverName: "d",
    parameters: { a: "1" },
  });
});

test("a report of attachment leaves the wish alone", () => {
  const old = created(volumeAttachments, named(attachment));
  const { next } = writePart(volumeAttachments, "status", old, (o) => {
    o.spec = { ...o.spec, nodeName: "n2" };
    o.status = { attached: true };
  });
  expect([next.spec.nodeName, next.status?.attached]).toEqual(["n1", true]);
});
