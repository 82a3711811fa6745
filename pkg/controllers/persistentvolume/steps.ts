/** What the plans of claims and volumes look at, and what they ask for. */
import type { Node } from "../../api/generated/types.ts";
import type { ReadonlyClaim, ReadonlyClass, ReadonlyVolume } from "../../api/volumes.ts";
import type { DeepReadonly } from "../../util/types.ts";

export interface World {
  volume(name: string): ReadonlyVolume | undefined;
  volumes(): readonly ReadonlyVolume[];
  claim(namespace: string, name: string): ReadonlyClaim | undefined;
  class(name: string): ReadonlyClass | undefined;
  classes(): readonly ReadonlyClass[];
  node(name: string): DeepReadonly<Node> | undefined;
  nodes(): readonly DeepReadonly<Node>[];
  now(): number;
}

/** `reason`: for the write's Cause. */
export type Write =
  | {
      readonly type: "createVolume" | "updateVolume" | "updateVolumeStatus" | "deleteVolume";
      readonly volume: ReadonlyVolume;
      readonly reason: string;
    }
  | { readonly type: "updateClaim" | "updateClaimStatus"; readonly claim: ReadonlyClaim; readonly reason: string };

export interface PlanEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** Without a write all is as it should be, or waits for somebody else, as the event says. */
export interface Plan {
  readonly write?: Write;
  /** About the claim or the volume that was planned for. */
  readonly event?: PlanEvent;
}
