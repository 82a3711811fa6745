/** What many components ask of a Pod. Pure; no object is changed. */
import type { DeepReadonly } from "../util/types.ts";
import type { Container, Pod, PodSpec, ResourceRequirements } from "./generated/types.ts";
import { compareQuantities, milliValue, parseQuantity, wholeValue } from "./quantity.ts";

type ReadonlyPod = DeepReadonly<Pod>;
type ReadonlyContainer = DeepReadonly<Container>;

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

export function condition<C extends { readonly type: string }>(
  list: readonly C[] | undefined,
  type: string,
): C | undefined {
  return list?.find((c) => c.type === type);
}

/** Has run to its end, and will not run again. */
export function isTerminal(pod: ReadonlyPod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

export function isReady(pod: ReadonlyPod): boolean {
  return condition(pod.status?.conditions, "Ready")?.status === "True";
}

/** A sidecar: an init container that runs as long as the Pod. */
export function isRestartableInit(c: ReadonlyContainer): boolean {
  return c.restartPolicy === "Always";
}

const QOS_RESOURCES = ["cpu", "memory"] as const;

/** From cpu and memory of all containers, as upstream's `ComputePodQOS`; from the Pod's own resources where given. */
export function qosClass(pod: ReadonlyPod): QosClass {
  const own = pod.spec?.resources;
  const all = own ? [own] : containersOf(pod.spec).map((c) => c.resources ?? {});
  const isSet = (v: string | undefined) => v !== undefined && parseQuantity(v).nano > 0n;
  const anySet = (r: DeepReadonly<ResourceRequirements>) =>
    QOS_RESOURCES.some((k) => isSet(r.requests?.[k]) || isSet(r.limits?.[k]));
  if (!all.some(anySet)) return "BestEffort";
  const guaranteed = all.every((r) =>
    QOS_RESOURCES.every((k) => {
      const limit = r.limits?.[k];
      const request = r.requests?.[k] ?? limit;
      if (limit === undefined || request === undefined || !isSet(limit)) return false;
      return parseQuantity(request).nano === parseQuantity(limit).nano;
    }),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}

function containersOf(spec: DeepReadonly<PodSpec> | undefined): readonly ReadonlyContainer[] {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
}

/** `cpu` in millicores, everything else in whole units. */
export type ResourceTotals = Record<string, bigint>;

export function resourceTotals(list: Readonly<Record<string, string>> | undefined): ResourceTotals {
  const totals: ResourceTotals = {};
  for (const [name, value] of Object.entries(list ?? {})) {
    totals[name] = name === "cpu" ? milliValue(value) : wholeValue(value);
  }
  return totals;
}

/**
 * What a node must have free for the Pod: the most it needs at any moment of its life, plus its overhead.
 * Init containers run one by one, each beside the sidecars started before it; then all containers run beside all sidecars.
 */
export function podRequests(pod: ReadonlyPod): ResourceTotals {
  const spec = pod.spec;
  const sidecars: ResourceTotals = {};
  const peak: ResourceTotals = {};
  for (const c of spec?.initContainers ?? []) {
    const needs = resourceTotals(c.resources?.requests);
    if (isRestartableInit(c)) {
      add(sidecars, needs);
      raise(peak, sidecars);
    } else {
      raise(peak, add({ ...sidecars }, needs));
    }
  }
  const steady = { ...sidecars };
  for (const c of spec?.containers ?? []) add(steady, resourceTotals(c.resources?.requests));
  raise(peak, steady);
  // What is written for the Pod as a whole stands above what its containers say.
  Object.assign(peak, resourceTotals(spec?.resources?.requests));
  return add(peak, resourceTotals(spec?.overhead));
}

/**
 * What a Pod counts for where others look for room: while it is being resized the most of what it asks for, was granted and
 * has; a resize that can never be granted counts for nothing.
 */
export function effectiveRequests(pod: ReadonlyPod): ResourceTotals {
  const { spec, status } = pod;
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const granted = new Map(statuses.flatMap((s) => (s.allocatedResources ? [[s.name, s] as const] : [])));
  if (!spec || granted.size === 0) return podRequests(pod);
  const refused = condition(status?.conditions, "PodResizePending")?.reason === "Infeasible";
  const counted = <C extends ReadonlyContainer>(c: C): C => {
    const s = granted.get(c.name);
    if (!s) return c;
    const lists = [...(refused ? [] : [c.resources?.requests]), s.allocatedResources, s.resources?.requests];
    return { ...c, resources: { ...c.resources, requests: { ...c.resources?.requests, ...greatest(lists) } } };
  };
  const { containers, initContainers } = spec;
  const most = {
    containers: containers.map(counted),
    ...(initContainers && { initContainers: initContainers.map(counted) }),
  };
  return podRequests({ ...pod, spec: { ...spec, ...most } });
}

/** Of each resource. */
function greatest(lists: readonly (Readonly<Record<string, string>> | undefined)[]): Record<string, string> {
  const most: Record<string, string> = {};
  for (const [name, quantity] of lists.flatMap((l) => Object.entries(l ?? {}))) {
    const has = most[name];
    if (has === undefined || compareQuantities(quantity, has) > 0) most[name] = quantity;
  }
  return most;
}

function add(into: ResourceTotals, more: ResourceTotals): ResourceTotals {
  for (const [name, n] of Object.entries(more)) into[name] = (into[name] ?? 0n) + n;
  return into;
}

function raise(into: ResourceTotals, atLeast: ResourceTotals): void {
  for (const [name, n] of Object.entries(atLeast)) {
    const has = into[name];
    if (has === undefined || has < n) into[name] = n;
  }
}
