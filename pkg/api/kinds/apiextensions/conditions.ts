/** What a CRD's status says of it. */
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition as Condition,
} from "../../generated/types.ts";
import { semanticEqual } from "../../equal.ts";
import type { DeepReadonly } from "../../../util/types.ts";

type Crd = DeepReadonly<CustomResourceDefinition>;

export function conditionOf(crd: Crd, type: string): DeepReadonly<Condition> | undefined {
  return crd.status?.conditions?.find((c) => c.type === type);
}

export function isTrue(crd: Crd, type: string): boolean {
  return conditionOf(crd, type)?.status === "True";
}

/** Replaces the condition of that type; the transition time moves only with the status. */
export function setCondition(crd: CustomResourceDefinition, next: Condition, now: string): void {
  const old = conditionOf(crd, next.type);
  const lastTransitionTime = old?.status === next.status ? (old.lastTransitionTime ?? now) : now;
  const { type, status, reason = "", message = "" } = next;
  const entry = { lastTransitionTime, message, reason, status, type };
  if (old && semanticEqual(old, entry)) return;
  const conditions = crd.status?.conditions ?? [];
  crd.status = {
    ...crd.status,
    conditions: old ? conditions.map((c) => (c.type === type ? entry : c)) : [...conditions, entry],
  };
}
