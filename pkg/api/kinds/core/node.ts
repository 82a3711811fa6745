import { keep } from "../../equal.ts";
import type { Node, Taint } from "../../generated/types.ts";
import { labelValue, qualifiedName } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import {
  checked,
  checkedRequired,
  duplicate,
  each,
  type FieldErrors,
  forbidden,
  oneOf,
} from "../../validation/field.ts";
import { canonicalize, validateQuantities, validateResourceName } from "../../validation/resources.ts";
import { AGE, NAME } from "../columns.ts";

const ROLE_PREFIX = "node-role.kubernetes.io/";
const ROLE_LABEL = "kubernetes.io/role";

/** A Node's status comes with its creation: the agent that registers it knows best. */
export const nodes: ResourceDef<Node> = {
  group: "",
  version: "v1",
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  categories: [],
  namespaced: false,
  generations: false,
  schema: "Node",
  setDefaults,
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next, old) => [
    ...validateTaints(next.spec?.taints),
    ...(old ? validateUpdate(next, old) : validateResources(next)),
  ],
  subresources: {
    status: {
      type: "part",
      prepareForUpdate: (next, old) => keep(next, old, "spec"),
      validate: validateResources,
    },
    proxy: { type: "connect", verbs: ["get", "create", "update", "patch", "delete"] },
  },
  selectableFields: { "spec.unschedulable": (o) => String(o.spec?.unschedulable ?? false) },
  columns: [
    NAME,
    { name: "Status", type: "string", description: "The status of the node", cell: status },
    { name: "Roles", type: "string", description: "The roles of the node", cell: roles },
    AGE,
    {
      name: "Version",
      type: "string",
      description: "Version of the agent on the node.",
      cell: (o) => o.status?.nodeInfo?.kubeletVersion ?? "",
    },
    { name: "Internal-IP", type: "string", wide: true, cell: (o) => address(o, "InternalIP") },
    { name: "External-IP", type: "string", wide: true, cell: (o) => address(o, "ExternalIP") },
    { name: "OS-Image", type: "string", wide: true, cell: (o) => o.status?.nodeInfo?.osImage || "<unknown>" },
    {
      name: "Kernel-Version",
      type: "string",
      wide: true,
      cell: (o) => o.status?.nodeInfo?.kernelVersion || "<unknown>",
    },
    {
      name: "Container-Runtime",
      type: "string",
      wide: true,
      cell: (o) => o.status?.nodeInfo?.containerRuntimeVersion || "<unknown>",
    },
  ],
};

function setDefaults(o: Node): void {
  o.spec ??= {};
  canonicalize(o.status?.capacity);
  canonicalize(o.status?.allocatable);
  if (o.status?.capacity && !o.status.allocatable) o.status.allocatable = { ...o.status.capacity };
}

function validateTaints(taints: readonly DeepReadonly<Taint>[] | undefined): FieldErrors {
  const field = "spec.taints";
  const seen = new Set<string>();
  return each(field, taints, (t, at) => {
    const id = `${t.key}:${t.effect}`;
    const again = seen.has(id);
    seen.add(id);
    return [
      ...checkedRequired(`${at}.key`, t.key, qualifiedName),
      ...checked(`${at}.value`, t.value ?? "", labelValue),
      ...oneOf(`${at}.effect`, t.effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"]),
      ...(again ? [{ ...duplicate(at, t), detail: "taints must be unique by key and effect pair" }] : []),
    ];
  });
}

function validateResources(o: DeepReadonly<Node>): FieldErrors {
  return (["capacity", "allocatable"] as const).flatMap((list) => [
    ...Object.keys(o.status?.[list] ?? {}).flatMap((name) => validateResourceName(name, `status.${list}[${name}]`)),
    ...validateQuantities(o.status?.[list], `status.${list}`),
  ]);
}

/** Both name the node to the world outside: once given, they stay. */
function validateUpdate(next: DeepReadonly<Node>, old: DeepReadonly<Node>): FieldErrors {
  return (["podCIDR", "providerID"] as const).flatMap((f) =>
    old.spec?.[f] && old.spec[f] !== next.spec?.[f]
      ? [forbidden(`spec.${f}`, `node updates may not change ${f} except from "" to valid`)]
      : [],
  );
}

function status(o: DeepReadonly<Node>): string {
  const ready = o.status?.conditions?.find((c) => c.type === "Ready");
  const words = [ready ? (ready.status === "True" ? "Ready" : "NotReady") : "Unknown"];
  if (o.spec?.unschedulable) words.push("SchedulingDisabled");
  return words.join(",");
}

function roles(o: DeepReadonly<Node>): string {
  const found = Object.entries(o.metadata.labels ?? {}).map(([k, v]) =>
    k.startsWith(ROLE_PREFIX) ? k.slice(ROLE_PREFIX.length) : k === ROLE_LABEL ? v : "",
  );
  return [...new Set(found.filter(Boolean))].sort().join(",") || "<none>";
}

function address(o: DeepReadonly<Node>, type: string): string {
  return o.status?.addresses?.find((a) => a.type === type)?.address ?? "<none>";
}
