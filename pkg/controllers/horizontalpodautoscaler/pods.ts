/** Which Pods' use may be believed, and what each uses and asks for. In thousandths: of a CPU, of a byte. Pure. */
import type { PodMetrics } from "../../api/generated/types.ts";
import { condition, isRestartableInit } from "../../api/pod.ts";
import { milliValue } from "../../api/quantity.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import type { AutoscalerSettings } from "./settings.ts";

/** Why a metric says nothing; in the words of Kubernetes, for users search for them. */
export class MetricError extends Error {}

/** What is measured: a resource of whole Pods, or of one of their containers. */
export interface Resource {
  readonly name: string;
  readonly container?: string | undefined;
}

export interface Use {
  readonly milli: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly windowMs: number;
}

/** By Pod's name; a Pod one of whose containers does not tell is left out. Throws {@link MetricError}. */
export function useOf(r: Resource, metrics: readonly DeepReadonly<PodMetrics>[]): Map<string, Use> {
  const all = metrics.map((m): [string, Use | undefined] => [m.metadata.name ?? "", useOfPod(r, m)]);
  const use = new Map(all.flatMap(([name, u]): [string, Use][] => (u ? [[name, u]] : [])));
  if (use.size > 0) return use;
  throw new MetricError(`unable to get metrics for resource ${r.name}: no metrics returned from resource metrics API`);
}

function useOfPod({ name, container }: Resource, m: DeepReadonly<PodMetrics>): Use | undefined {
  const measured = m.containers.filter((c) => container === undefined || c.name === container);
  if (container !== undefined && measured.length === 0) {
    const pod = `${m.metadata.namespace ?? ""}/${m.metadata.name ?? ""}`;
    throw new MetricError(
      `unable to get metrics for resource ${name}: failed to get container metrics: container ${container} not present in metrics for pod ${pod}`,
    );
  }
  const values = measured.map((c) => c.usage[name]);
  if (values.length === 0 || values.includes(undefined)) return undefined;
  const milli = values.reduce((sum, v) => sum + Number(milliValue(v ?? "0")), 0);
  return { milli, at: Date.parse(m.timestamp), windowMs: Number.parseFloat(m.window) * 1000 || 0 };
}

/** By Pod's name. Throws {@link MetricError} for a container that asks for nothing: there is nothing to relate its use to. */
export function requestsOf({ name, container }: Resource, pods: readonly ReadonlyPod[]): Map<string, number> {
  return new Map(pods.map((pod) => [pod.metadata.name ?? "", requestOfPod(pod, name, container)]));
}

function requestOfPod(pod: ReadonlyPod, resource: string, only: string | undefined): number {
  const whole = only === undefined ? pod.spec?.resources?.requests?.[resource] : undefined;
  if (whole !== undefined) return Number(milliValue(whole));
  const sidecars = (pod.spec?.initContainers ?? []).filter(isRestartableInit);
  const containers = [...(pod.spec?.containers ?? []), ...sidecars];
  const counted = containers.filter((c) => only === undefined || c.name === only);
  return counted.reduce((sum, c) => {
    const request = c.resources?.requests?.[resource];
    if (request !== undefined) return sum + Number(milliValue(request));
    throw new MetricError(`missing request for ${resource} in container ${c.name} of Pod ${pod.metadata.name}`);
  }, 0);
}

/** A Pod is in one of the groups, or (on its way out, or failed) in none. */
export interface Groups {
  /** Its use counts. */
  readonly ready: readonly string[];
  /** What it uses now says nothing about what it will use. */
  readonly unready: readonly string[];
  /** It has not been measured. */
  readonly missing: readonly string[];
}

export interface GroupOptions {
  readonly resource: string;
  readonly now: number;
  readonly settings: AutoscalerSettings;
}

export function groupPods(pods: readonly ReadonlyPod[], use: ReadonlyMap<string, Use>, o: GroupOptions): Groups {
  const groups = { ready: [] as string[], unready: [] as string[], missing: [] as string[] };
  for (const pod of pods) {
    if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === "Failed") continue;
    const name = pod.metadata.name ?? "";
    groups[groupOf(pod, use.get(name), o)].push(name);
  }
  return groups;
}

function groupOf(pod: ReadonlyPod, use: Use | undefined, o: GroupOptions): keyof Groups {
  if (pod.status?.phase === "Pending") return "unready";
  if (!use) return "missing";
  return o.resource === "cpu" && !believable(pod, use, o) ? "unready" : "ready";
}

/** A start costs CPU that the Pod will not need later. */
function believable(pod: ReadonlyPod, use: Use, { now, settings }: GroupOptions): boolean {
  const ready = condition(pod.status?.conditions, "Ready");
  const startedAt = Date.parse(pod.status?.startTime ?? "");
  if (!ready || Number.isNaN(startedAt)) return false;
  const changedAt = Date.parse(ready.lastTransitionTime ?? "") || 0;
  const isReady = ready.status !== "False";
  if (startedAt + settings.cpuInitializationMs > now) return isReady && use.at >= changedAt + use.windowMs;
  return isReady || startedAt + settings.initialReadinessMs <= changedAt;
}
