/**
 * Writes the default levels and schemas at the start of a server, as Kubernetes does: what is missing is created, what was
 * changed is put back where its annotation says so.
 */
import { deepEqual } from "../../api/equal.ts";
import type { FlowSchema, PriorityLevelConfiguration } from "../../api/generated/types.ts";
import { flowSchemas } from "../../api/kinds/flowcontrol/flowschema.ts";
import { priorityLevelConfigurations } from "../../api/kinds/flowcontrol/prioritylevelconfiguration.ts";
import { nameOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterView } from "../admission.ts";
import { AUTOUPDATE, defaultSchemas, MANDATORY, priorityLevels } from "./defaults.ts";

type Config = FlowSchema | PriorityLevelConfiguration;

/** What is to be written; undefined: nothing. */
export function planConfig<T extends Config>(
  existing: DeepReadonly<T> | undefined,
  wanted: DeepReadonly<T>,
): { readonly verb: "create" | "update"; readonly object: DeepReadonly<T> } | undefined {
  if (!existing) return { verb: "create", object: wanted };
  const ours = MANDATORY.includes(nameOf(wanted)) || existing.metadata.annotations?.[AUTOUPDATE] === "true";
  if (!ours || deepEqual(existing.spec, wanted.spec)) return undefined;
  return { verb: "update", object: { ...existing, spec: wanted.spec } as DeepReadonly<T> };
}

/** Rejects with the first failure. */
export async function ensureFlowObjects(client: Client, view: Pick<ClusterView, "get">): Promise<void> {
  await Promise.all([
    ...priorityLevels.map((o) => ensure(client, view, priorityLevelConfigurations, o)),
    ...defaultSchemas.map((o) => ensure(client, view, flowSchemas, o)),
  ]);
}

async function ensure<T extends Config>(
  client: Client,
  view: Pick<ClusterView, "get">,
  kind: ResourceRef<T>,
  wanted: T,
): Promise<void> {
  const todo = planConfig(view.get(kind, "", nameOf(wanted)), wanted as DeepReadonly<T>);
  if (todo) await client.resource(kind)[todo.verb](todo.object).catch(lostToAnother);
}

/** Another server starts at the same time and writes the same. */
export function lostToAnother(error: unknown): void {
  if (!isReason(error, "AlreadyExists", "Conflict", "NotFound")) throw error;
}
