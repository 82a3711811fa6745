/** What can be done next for a Pod, as plain data. */
import type { LiveResources } from "../runtime/resources.ts";

export type ActionReason =
  | "PodStarting"
  | "SandboxChanged"
  | "SandboxFailed"
  | "ContainerMissing"
  | "ContainerDied"
  | "SpecChanged"
  | "Unhealthy"
  | "PostStartFailed"
  | "PodDeleted"
  | "PodGone"
  | "PodTerminal"
  | "DeadlineExceeded"
  | "Evicted"
  | "Rejected"
  | "OldAttempt"
  | "NeverStarted"
  | "BackOff"
  | "Deadline"
  | "Grace"
  | "Resized"
  | "Refresh";

/** Of one container; `graceSeconds` count from when its end began, so that a hook takes its time from what follows. */
interface OfContainer {
  readonly container: string;
  readonly id: string;
  readonly reason: ActionReason;
}

export type PodAction =
  | { readonly type: "createSandbox"; readonly attempt: number; readonly reason: ActionReason }
  | { readonly type: "startSandbox"; readonly id: string; readonly reason: ActionReason }
  | { readonly type: "removeSandbox"; readonly id: string; readonly reason: ActionReason }
  | { readonly type: "prepareVolumes"; readonly reason: ActionReason }
  | { readonly type: "removeVolumes"; readonly reason: ActionReason }
  | {
      readonly type: "ensureImage";
      readonly container: string;
      readonly attempt: number;
      readonly image: string;
      readonly policy: "Always" | "IfNotPresent" | "Never";
      readonly reason: ActionReason;
    }
  | {
      readonly type: "createContainer";
      readonly container: string;
      readonly attempt: number;
      readonly sandboxId: string;
      readonly reason: ActionReason;
    }
  | ({ readonly type: "startContainer" } & OfContainer)
  | ({ readonly type: "postStart" } & OfContainer)
  | ({ readonly type: "updateContainer"; readonly resources: LiveResources } & OfContainer)
  | ({ readonly type: "preStop"; readonly graceSeconds: number } & OfContainer)
  /** Wait until no traffic comes any more. */
  | { readonly type: "drain"; readonly reason: ActionReason }
  | ({ readonly type: "stopContainer"; readonly graceSeconds: number } & OfContainer)
  | ({ readonly type: "removeContainer" } & OfContainer)
  | { readonly type: "deletePod"; readonly reason: ActionReason }
  /** Nothing to do before then. */
  | { readonly type: "wait"; readonly until: number; readonly reason: ActionReason };

/** Those of the Pod as a whole: they end every container, in order. */
export const ENDINGS: ReadonlySet<ActionReason> = new Set([
  "PodDeleted",
  "PodGone",
  "PodTerminal",
  "DeadlineExceeded",
  "Evicted",
  "Rejected",
  "SandboxChanged",
  "SandboxFailed",
]);
