import { own } from "../../../util/keys.ts";
import type { PriorityClass } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type FieldErrors, forbidden, immutable, oneOf } from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";

/** Above it, the system's own Pods come first. */
const HIGHEST_USER_PRIORITY = 1_000_000_000;
const SYSTEM_PREFIX = "system-";

/** Those that a cluster is born with, and that no other class may look like. */
export const SYSTEM_PRIORITY_CLASSES: Readonly<
  Record<string, { readonly value: number; readonly description: string }>
> = {
  "system-node-critical": {
    value: 2_000_001_000,
    description: "Used for system critical pods that must not be moved from their current node.",
  },
  "system-cluster-critical": {
    value: 2_000_000_000,
    description:
      "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
  },
};

export const priorityClasses: ResourceDef<PriorityClass> = {
  group: "scheduling.k8s.io",
  version: "v1",
  kind: "PriorityClass",
  plural: "priorityclasses",
  singular: "priorityclass",
  shortNames: ["pc"],
  categories: [],
  namespaced: false,
  schema: "PriorityClass",
  setDefaults(o) {
    o.value ??= 0;
    o.preemptionPolicy ??= "PreemptLowerPriority";
  },
  prepareForCreate(o) {
    o.metadata.generation = 1;
  },
  validate: (next, old) => (old ? validateUpdate(next, old) : validate(next)),
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    { name: "Value", type: "integer", description: "The priority of pods of this class.", cell: (o) => o.value ?? 0 },
    {
      name: "Global-Default",
      type: "boolean",
      description: "Whether pods that name no class are of this one.",
      cell: (o) => o.globalDefault ?? false,
    },
    AGE,
    {
      name: "PreemptionPolicy",
      type: "string",
      description: "Whether they may push others off a node.",
      cell: (o) => o.preemptionPolicy ?? "",
    },
  ],
};

function validate(o: DeepReadonly<PriorityClass>): FieldErrors {
  const name = o.metadata.name ?? "";
  const policy = oneOf("preemptionPolicy", o.preemptionPolicy, ["PreemptLowerPriority", "Never"]);
  if (name.startsWith(SYSTEM_PREFIX)) return [...validateSystem(name, o), ...policy];
  if ((o.value ?? 0) <= HIGHEST_USER_PRIORITY) return policy;
  return [
    forbidden("value", `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}`),
    ...policy,
  ];
}

function validateSystem(name: string, o: DeepReadonly<PriorityClass>): FieldErrors {
  const why = whyNotSystem(name, o);
  const reserved = `priority class names with '${SYSTEM_PREFIX}' prefix are reserved for system use only.`;
  return why === undefined ? [] : [forbidden("metadata.name", `${reserved} error: ${why}`)];
}

function whyNotSystem(name: string, o: DeepReadonly<PriorityClass>): string | undefined {
  const known = own(SYSTEM_PRIORITY_CLASSES, name);
  if (!known) return `${name} is not a known system priority class`;
  if (o.value !== known.value) return `value of ${name} PriorityClass must be ${known.value}`;
  return o.globalDefault ? `globalDefault of ${name} PriorityClass must be false` : undefined;
}

/** Pods have copied both. */
function validateUpdate(next: DeepReadonly<PriorityClass>, old: DeepReadonly<PriorityClass>): FieldErrors {
  return [
    ...(next.value === old.value ? [] : [forbidden("value", "may not be changed in an update.")]),
    ...immutable("preemptionPolicy", next.preemptionPolicy, old.preemptionPolicy),
  ];
}
