/** Where autoscaling/v1 keeps what it has no fields for. */
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

export function withoutV1Annotations(
  annotations: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  return annotations && Object.fromEntries(Object.entries(annotations).filter(([key]) => !ALL.includes(key)));
}
