/** What containers need before they can be created: their images, the Pod's volumes. Pure. */
import type { RuntimePod } from "../runtime/runtime.ts";
import { type Container, type Pod, type PodFacts, SHOW_ERROR_MS, type StepError, type VolumesReady } from "./facts.ts";
import type { ActionReason, PodAction } from "./plan-action.ts";

/** A Pod that is there, and all that its plan depends on. */
export interface PlanInput {
  readonly pod: Pod;
  readonly actual: RuntimePod | undefined;
  readonly facts: PodFacts;
  readonly now: number;
}

/** Undefined when the image is there for this attempt. `Always` asks the registry anew for each attempt. */
export function planImage(i: PlanInput, c: Container, attempt: number, reason: ActionReason): PodAction[] | undefined {
  const policy = pullPolicyOf(c);
  const fact = i.facts.images.get(c.name);
  if (fact?.state === "present" && (fact.attempt === attempt || policy !== "Always")) return undefined;
  const image = c.image ?? "";
  const ensure: PodAction = { type: "ensureImage", container: c.name, attempt, image, policy, reason };
  return fact?.state === "failed" ? retry(fact.error, i.now, ensure) : [ensure];
}

export function planVolumes(i: PlanInput, reason: ActionReason): PodAction[] | undefined {
  const { volumes } = i.facts;
  if (isReady(volumes) || !i.pod.spec?.volumes?.length) return undefined;
  const prepare: PodAction = { type: "prepareVolumes", reason };
  return volumes === "unknown" ? [prepare] : retry(volumes, i.now, prepare);
}

/** Files of ConfigMaps, Secrets and tokens follow what they come from. */
export function planRefresh({ pod, facts: { volumes }, now }: PlanInput): PodAction[] {
  if (!isReady(volumes) || volumes.refreshAt === Infinity || !pod.spec?.volumes?.length) return [];
  if (now < volumes.refreshAt) return [{ type: "wait", until: volumes.refreshAt, reason: "Refresh" }];
  return [{ type: "prepareVolumes", reason: "Refresh" }];
}

function isReady(volumes: PodFacts["volumes"]): volumes is VolumesReady {
  return typeof volumes === "object" && "refreshAt" in volumes;
}

/** Meanwhile the status changes from the error's own reason to the back-off's: look again then, too. */
function retry(error: StepError, now: number, action: PodAction): PodAction[] {
  if (now >= error.retryAt) return [action];
  const until = now < error.at + SHOW_ERROR_MS ? Math.min(error.at + SHOW_ERROR_MS, error.retryAt) : error.retryAt;
  return [{ type: "wait", until, reason: "BackOff" }];
}

function pullPolicyOf(c: Container): "Always" | "IfNotPresent" | "Never" {
  const policy = c.imagePullPolicy;
  return policy === "Always" || policy === "Never" ? policy : "IfNotPresent";
}
