/** The table of all kinds: the one place that knows which there are. */
import { configMaps } from "./kinds/core/configmap.ts";
import { events } from "./kinds/core/event.ts";
import { leases } from "./kinds/coordination/lease.ts";
import { namespaces } from "./kinds/core/namespace.ts";
import { nodes } from "./kinds/core/node.ts";
import { pods } from "./kinds/core/pod.ts";
import { secrets } from "./kinds/core/secret.ts";
import { serviceAccounts } from "./kinds/core/serviceaccount.ts";
import type { ApiObject } from "./object.ts";
import { apiVersionOf } from "./object.ts";
import type { ResourceDef } from "./resource.ts";

/**
 * Code generic over kinds sees every row as a row of ApiObjects. That is sound because it hands a row only objects that
 * were decoded by that row's own schema.
 */
function row<T extends ApiObject>(def: ResourceDef<T>): ResourceDef {
  return def as unknown as ResourceDef;
}

/** In the order in which discovery lists them. */
export const resources: readonly ResourceDef[] = [
  row(namespaces),
  row(nodes),
  row(pods),
  row(configMaps),
  row(secrets),
  row(serviceAccounts),
  row(events),
  row(leases),
];

const byPlural = new Map(resources.map((d) => [`${apiVersionOf(d)}/${d.plural}`, d]));
const byKind = new Map(resources.map((d) => [`${apiVersionOf(d)}/${d.kind}`, d]));

export function findByPlural(group: string, version: string, plural: string): ResourceDef | undefined {
  return byPlural.get(`${apiVersionOf({ group, version })}/${plural}`);
}

export function findByKind(apiVersion: string, kind: string): ResourceDef | undefined {
  return byKind.get(`${apiVersion}/${kind}`);
}
