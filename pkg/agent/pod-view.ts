/** How the agent itself sees a Pod. Pure. */
import type { PodStatus } from "../api/generated/types.ts";
import type { Eviction, Pod } from "./facts.ts";
import { RESIZE_CONDITIONS } from "./resize/status.ts";

const OWN: ReadonlySet<string> = new Set([
  ...RESIZE_CONDITIONS,
  "PodReadyToStartContainers",
  "Initialized",
  "Ready",
  "ContainersReady",
  "PodScheduled",
]);

/** The Pod with the status we last computed, which the watch may not have echoed yet; others' conditions as they set them. */
export function viewOf(pod: Pod, wanted: PodStatus | undefined, evicted: Eviction | undefined): Pod {
  if (!wanted) return pod;
  const mine = (wanted.conditions ?? []).filter(
    (c) => OWN.has(c.type) || (evicted?.disrupted && c.type === "DisruptionTarget"),
  );
  const foreign = (pod.status?.conditions ?? []).filter((c) => !mine.some((m) => m.type === c.type));
  return { ...pod, status: { ...wanted, conditions: [...mine, ...foreign] } };
}
