/** Each FlowSchema says in its status whether its level is there. */
import type { FlowSchema, FlowSchemaCondition } from "../../api/generated/types.ts";
import { flowSchemas } from "../../api/kinds/flowcontrol/flowschema.ts";
import { priorityLevelConfigurations } from "../../api/kinds/flowcontrol/prioritylevelconfiguration.ts";
import type { Client } from "../../client/client.ts";
import { type Clock, rfc3339 } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterView } from "../admission.ts";
import { lostToAnother } from "./ensure.ts";

/** Undefined: it is told already. */
export function danglingCondition(
  schema: DeepReadonly<FlowSchema>,
  exists: boolean,
  now: number,
): FlowSchemaCondition | undefined {
  const level = JSON.stringify(schema.spec?.priorityLevelConfiguration.name ?? "");
  const references = `This FlowSchema references the PriorityLevelConfiguration object named ${level}`;
  const condition = exists
    ? { type: "Dangling", status: "False", reason: "Found", message: `${references} and it exists` }
    : { type: "Dangling", status: "True", reason: "NotFound", message: `${references} but there is no such object` };
  const old = schema.status?.conditions?.find((c) => c.type === condition.type);
  const told = old?.status === condition.status && old.message === condition.message;
  return told ? undefined : { ...condition, lastTransitionTime: rfc3339(now) };
}

/** Rejects with the first failure. */
async function tellDangling(client: Client, view: Pick<ClusterView, "list" | "get">, now: number): Promise<void> {
  const api = client.resource(flowSchemas);
  const todo = Array.from(view.list(flowSchemas), async (schema) => {
    const { name } = schema.spec?.priorityLevelConfiguration ?? { name: "" };
    const condition = danglingCondition(schema, view.get(priorityLevelConfigurations, "", name) !== undefined, now);
    if (!condition) return;
    const others = (schema.status?.conditions ?? []).filter((c) => c.type !== condition.type);
    await api.updateStatus({ ...schema, status: { conditions: [...others, condition] } }).catch(lostToAnother);
  });
  await Promise.all(todo);
}

/** To be called after every change of them; one round runs after the other. */
export function tellingDangling(
  client: Client,
  { view, clock }: { readonly view: ClusterView; readonly clock: Pick<Clock, "now"> },
  log: Logger,
): () => void {
  let running = Promise.resolve();
  return () => {
    running = running
      .then(() => tellDangling(client, view, clock.now()))
      .catch((error: unknown) => log.debug({ error }, "the state of the flow schemas was not written"));
  };
}
