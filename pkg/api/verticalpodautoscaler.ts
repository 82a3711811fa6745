/**
 * VerticalPodAutoscalers (`autoscaling.k8s.io/v1`), a custom kind: manifests/vpa.yaml defines it. Here is what those need
 * to know of it who act on it: its shape, whom it means, and what its recommendation makes of a Pod.
 */
import type { DeepReadonly } from "../util/types.ts";
import type { Container, Pod } from "./generated/types.ts";
import { type ApiObject, controllerOf, nameOf, namespaceOf, type OwnerReference, parseApiVersion } from "./object.ts";
import { formatQuantity, parseQuantity, type Quantity } from "./quantity.ts";
import type { ResourceRef } from "./resource.ts";

/** Resource name → quantity. */
export type Resources = Record<string, string>;

export interface ContainerPolicy {
  /** `*`: all that have none of their own. */
  containerName?: string;
  mode?: "Auto" | "Off";
  minAllowed?: Resources;
  maxAllowed?: Resources;
  controlledResources?: string[];
  controlledValues?: "RequestsAndLimits" | "RequestsOnly";
}

export interface ContainerRecommendation {
  containerName: string;
  target: Resources;
  /** A request below it, or above the upper bound, is worth a restart. */
  lowerBound: Resources;
  upperBound: Resources;
  /** Without the policy's limits. */
  uncappedTarget: Resources;
}

export type UpdateMode = "Off" | "Initial" | "Recreate" | "InPlaceOrRecreate" | "Auto";

export interface VerticalPodAutoscaler extends ApiObject {
  spec: {
    targetRef?: { apiVersion?: string; kind: string; name: string };
    updatePolicy?: { updateMode?: UpdateMode; minReplicas?: number };
    resourcePolicy?: { containerPolicies?: ContainerPolicy[] };
  };
  status?: {
    recommendation?: { containerRecommendations?: ContainerRecommendation[] };
    conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime?: string }[];
  };
}

type Vpa = DeepReadonly<VerticalPodAutoscaler>;

export const verticalPodAutoscalers: ResourceRef<VerticalPodAutoscaler> = {
  group: "autoscaling.k8s.io",
  version: "v1",
  kind: "VerticalPodAutoscaler",
  plural: "verticalpodautoscalers",
  namespaced: true,
};

export const CONTROLLED = ["cpu", "memory"] as const;

/** `Auto` restarts Pods, as `Recreate` does. */
export function updateMode({ spec }: Vpa): UpdateMode {
  return spec.updatePolicy?.updateMode ?? "Auto";
}

export function policyFor({ spec }: Vpa, container: string): DeepReadonly<ContainerPolicy> {
  const all = spec.resourcePolicy?.containerPolicies ?? [];
  return all.find((p) => p.containerName === container) ?? all.find((p) => p.containerName === "*") ?? {};
}

/** The owner of which the object is a part, by kind and name in its namespace; undefined: unknown here. */
export type FindOwner = (namespace: string, owner: DeepReadonly<OwnerReference>) => DeepReadonly<ApiObject> | undefined;

/** A Pod of a ReplicaSet of a Deployment: three steps, and a few to spare. */
const MAX_OWNERS = 5;

/** Whether the VPA's target made the Pod, directly or through others that it made. */
export function isMeant({ spec, metadata }: Vpa, pod: DeepReadonly<Pod>, find: FindOwner): boolean {
  const { targetRef: target } = spec;
  if (!target || metadata.namespace !== namespaceOf(pod)) return false;
  const { group } = parseApiVersion(target.apiVersion ?? "");
  let owner = controllerOf(pod);
  for (let n = 0; owner && n < MAX_OWNERS; n++) {
    const same = owner.kind === target.kind && owner.name === target.name;
    if (same && parseApiVersion(owner.apiVersion).group === group) return true;
    const object = find(namespaceOf(pod), owner);
    owner = object && controllerOf(object);
  }
  return false;
}

/** What the recommendation asks for, for a container that it may change. */
export function targetFor(vpa: Vpa, container: string): DeepReadonly<ContainerRecommendation> | undefined {
  if (policyFor(vpa, container).mode === "Off") return undefined;
  return vpa.status?.recommendation?.containerRecommendations?.find((r) => r.containerName === container);
}

/** Sets the requests of a Pod that is about to be made, and limits in proportion. Returns what was set. */
export function applyRecommendation(vpa: Vpa, pod: Pod): string[] {
  const containers = pod.spec?.containers ?? [];
  return containers.flatMap((c, i) => {
    const target = targetFor(vpa, c.name)?.target ?? {};
    const limited = policyFor(vpa, c.name).controlledValues !== "RequestsOnly";
    const names = Object.entries(target).map(([resource, amount]) => {
      setResource(c, resource, { amount, limited });
      return `${resource} request`;
    });
    return names.length > 0 ? [`container ${i}: ${names.join(", ")}`] : [];
  });
}

function setResource(c: Container, resource: string, { amount, limited }: { amount: string; limited: boolean }): void {
  const { requests = {}, limits = {} } = c.resources ?? {};
  const limit = limits[resource];
  const scaled = limited && limit !== undefined && inProportion(limit, requests[resource] ?? limit, amount);
  c.resources = { ...c.resources, requests: { ...requests, [resource]: amount } };
  if (scaled) c.resources.limits = { ...limits, [resource]: scaled };
}

/** `limit` as it was to `before`, so to `now`; rounded up to whole thousandths of a CPU or bytes. */
function inProportion(limit: string, before: string, now: string): string {
  const [l, b, n] = [parseQuantity(limit), parseQuantity(before), parseQuantity(now)];
  if (b.nano === 0n) return limit;
  const nano = (l.nano * n.nano) / b.nano;
  return formatQuantity({ nano: ((nano + MILLI - 1n) / MILLI) * MILLI, format: n.format });
}

const MILLI = 1_000_000n;

/** In CPUs or bytes. */
export function amount(text: string): number {
  return Number(parseQuantity(text).nano) / 1e9;
}

/** Rounded up: CPUs to thousandths, all else to whole units. */
export function written(resource: string, value: number): string {
  const nano = resource === "cpu" ? BigInt(Math.ceil(value * 1000)) * MILLI : BigInt(Math.ceil(value)) * 1_000_000_000n;
  const q: Quantity = { nano, format: "DecimalSI" };
  return formatQuantity(q);
}

/** Of the kind whose target made the Pod, if one of them has; of several, the first by name. */
export function vpaFor(all: Iterable<Vpa>, pod: DeepReadonly<Pod>, find: FindOwner): Vpa | undefined {
  const meant = [...all].filter((vpa) => isMeant(vpa, pod, find));
  return meant.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))[0];
}
