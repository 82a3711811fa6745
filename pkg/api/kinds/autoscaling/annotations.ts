/** Where autoscaling/v1 keeps what it has no fields for. */
import type { ObjectMeta } from "../../object.ts";

const PREFIX = "autoscaling.alpha.kubernetes.io/";

export const METRICS = `${PREFIX}metrics`;
export const CURRENT_METRICS = `${PREFIX}current-metrics`;
export const CONDITIONS = `${PREFIX}conditions`;
export const BEHAVIOR = `${PREFIX}behavior`;

const ALL: readonly string[] = [
  METRICS,
  CURRENT_METRICS,
  CONDITIONS,
  BEHAVIOR,
  `${PREFIX}scale-down-tolerance`,
  `${PREFIX}scale-up-tolerance`,
];

/** The metadata without them, and without annotations if there are no others. */
export function withoutV1Annotations(metadata: ObjectMeta): ObjectMeta {
  const { annotations, ...rest } = metadata;
  const others = Object.entries(annotations ?? {}).filter(([key]) => !ALL.includes(key));
  return others.length ? { ...rest, annotations: Object.fromEntries(others) } : rest;
}
