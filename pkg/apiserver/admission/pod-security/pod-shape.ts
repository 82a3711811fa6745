/** A Pod, or the template of one, as the checks see it. */
import type { Container, ObjectMeta, PodSpec } from "../../../api/generated/types.ts";
import type { DeepReadonly } from "../../../util/types.ts";

export interface PodShape {
  readonly metadata: DeepReadonly<ObjectMeta>;
  readonly spec: DeepReadonly<PodSpec>;
}

/** `reason (detail)` in messages. */
export interface Violation {
  readonly reason: string;
  readonly detail: string;
}

export type Check = (pod: PodShape) => Violation | undefined;

/** Any container: those that run once, those that stay, and those added for debugging. */
export type AnyContainer = DeepReadonly<Container>;

export function containersOf({ spec }: PodShape): readonly AnyContainer[] {
  return [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])];
}
