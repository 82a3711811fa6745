/** What kinds of steps there are to the worker. */
import type { PodAction } from "./plan-action.ts";
import type { Step } from "./step-env.ts";

/** Only so many Pods of a node may be at these at once. */
export const STARTING: ReadonlySet<PodAction["type"]> = new Set([
  "createSandbox",
  "startSandbox",
  "createContainer",
  "startContainer",
]);
/** Change nothing in the runtime that the planner must wait for. */
export const ASIDE: ReadonlySet<PodAction["type"]> = new Set([
  "ensureImage",
  "prepareVolumes",
  "removeVolumes",
  "deletePod",
  "postStart",
  "preStop",
  "drain",
]);

/** Of two with the same key only one may be under way. A shorter grace is a new order to stop. */
export function keyOfStep(a: Step): string {
  switch (a.type) {
    case "createSandbox":
    case "prepareVolumes":
    case "removeVolumes":
    case "deletePod":
    case "drain":
      return a.type;
    case "startSandbox":
    case "removeSandbox":
    case "startContainer":
    case "removeContainer":
    case "updateContainer":
    case "postStart":
    case "preStop":
      return `${a.type}/${a.id}`;
    case "stopContainer":
      return `${a.type}/${a.id}/${a.graceSeconds}`;
    case "ensureImage":
    case "createContainer":
      return `${a.type}/${a.container}`;
  }
}
