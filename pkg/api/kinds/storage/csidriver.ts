import { deepEqual } from "../../equal.ts";
import type { CSIDriver, CSIDriverSpec } from "../../generated/types.ts";
import type { Column, ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { each, type FieldErrors, IMMUTABLE, invalidValue, oneOf, unique } from "../../validation/field.ts";
import { validateDriverName } from "../../validation/storage.ts";
import { AGE, NAME } from "../columns.ts";

const flag = (name: string, get: (s: DeepReadonly<CSIDriverSpec>) => boolean | undefined): Column<CSIDriver> => ({
  name,
  type: "boolean",
  cell: (o) => get(o.spec) ?? false,
});

export const csiDrivers: ResourceDef<CSIDriver> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIDriver",
  plural: "csidrivers",
  singular: "csidriver",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "CSIDriver",
  validateName: (name) => validateDriverName(name, "").map((e) => e.detail),
  setDefaults(o) {
    const spec = (o.spec ??= {});
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
    spec.fsGroupPolicy ||= "ReadWriteOnceWithFSType";
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ["Persistent"];
  },
  validate: (next, old) => [
    ...oneOf("spec.fsGroupPolicy", next.spec.fsGroupPolicy, ["File", "None", "ReadWriteOnceWithFSType"]),
    ...each("spec.volumeLifecycleModes", next.spec.volumeLifecycleModes, (mode, at) =>
      oneOf(at, mode, ["Ephemeral", "Persistent"]),
    ),
    ...unique("spec.tokenRequests", next.spec.tokenRequests, (t) => t.audience, ".audience"),
    ...(old ? validateUpdate(next.spec, old.spec) : []),
  ],
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    flag("AttachRequired", (s) => s.attachRequired ?? true),
    flag("PodInfoOnMount", (s) => s.podInfoOnMount),
    flag("StorageCapacity", (s) => s.storageCapacity),
    {
      name: "TokenRequests",
      type: "string",
      cell: ({ spec }) => (spec.tokenRequests ? spec.tokenRequests.map((t) => t.audience).join(",") : "<unset>"),
    },
    flag("RequiresRepublish", (s) => s.requiresRepublish),
    { name: "Modes", type: "string", cell: ({ spec }) => (spec.volumeLifecycleModes ?? []).join(",") || "<none>" },
    AGE,
  ],
};

function validateUpdate(next: DeepReadonly<CSIDriverSpec>, old: DeepReadonly<CSIDriverSpec>): FieldErrors {
  return (["attachRequired", "volumeLifecycleModes"] as const).flatMap((f) =>
    deepEqual(next[f], old[f]) ? [] : [invalidValue(`spec.${f}`, next[f], IMMUTABLE)],
  );
}
