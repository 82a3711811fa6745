/**
 * What an object uses of a ResourceQuota: one evaluator for Pods, Services and claims each, and a count for every other
 * kind. Admission charges by it, the quota controller counts by it.
 */
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { PersistentVolumeClaim, Pod, Service } from "../generated/types.ts";
import type { ApiObject } from "../object.ts";
import { isTerminal } from "../pod.ts";
import { formatQuantity, parseQuantity } from "../quantity.ts";
import {
  addLists,
  count,
  only,
  parseList,
  podResources,
  type ResourceList,
  type WrittenList,
} from "../resource-list.ts";
import type { ResourceRef } from "../resource.ts";
import { isExtended, isHugePages } from "../validation/resources.ts";

export type Counted = Pick<ResourceRef, "group" | "plural">;

interface Evaluator {
  /** Whether it has to do with this name of `spec.hard`. */
  readonly covers: (name: string) => boolean;
  readonly usage: (o: DeepReadonly<ApiObject>, now: number) => ResourceList;
  /** Names of which every container must say how much: else the quota would not bind. */
  readonly unspecified?: (o: DeepReadonly<ApiObject>, names: readonly string[]) => string | undefined;
}

/** `count/pods`, `count/deployments.apps` */
export function countName({ group, plural }: Counted): string {
  return `count/${plural}${group ? `.${group}` : ""}`;
}

/** Kinds that could be counted before there was `count/`. */
const PLAIN_COUNTS: ReadonlySet<string> = new Set([
  "configmaps",
  "replicationcontrollers",
  "resourcequotas",
  "secrets",
]);

export function evaluatorOf(kind: Counted): Evaluator {
  return (kind.group === "" ? own(EVALUATORS, kind.plural) : undefined) ?? counter(kind);
}

function counter(kind: Counted): Evaluator {
  const names = [countName(kind), ...(kind.group === "" && PLAIN_COUNTS.has(kind.plural) ? [kind.plural] : [])];
  const one = new Map(names.map((name) => [name, count(1)]));
  return { covers: (name) => one.has(name), usage: () => one };
}

/** How requests and limits of containers are called in a quota. */
const COMPUTE = ["cpu", "memory", "ephemeral-storage"] as const;
const POD_NAMES: ReadonlySet<string> = new Set([
  "pods",
  "count/pods",
  ...COMPUTE.flatMap((r) => [r, `requests.${r}`, `limits.${r}`]),
]);

const podEvaluator: Evaluator = {
  covers: (name) =>
    POD_NAMES.has(name) || isHugePages(name) || isRequestOf(name, isHugePages) || isRequestOf(name, isExtended),
  usage: (o, now) => podUsage(o as DeepReadonly<Pod>, now),
  unspecified: (o, names) => unspecified(o as DeepReadonly<Pod>, names),
};

function isRequestOf(name: string, test: (resource: string) => boolean): boolean {
  return name.startsWith("requests.") && test(name.slice("requests.".length));
}

/** A Pod that has ended, or that nobody is left to end, only counts as an object. */
function podUsage(pod: DeepReadonly<Pod>, now: number): ResourceList {
  const object = new Map([["count/pods", count(1)]]);
  if (isTerminal(pod) || isOverdue(pod, now)) return object;
  const overhead = parseList(pod.spec?.overhead);
  const spec = pod.spec ?? { containers: [] };
  const limits = podResources(spec, "limits");
  return new Map([
    ...object,
    ...quotaNames(
      addLists(podResources(spec, "requests"), overhead),
      addLists(
        limits,
        only(overhead, (name) => limits.has(name)),
      ),
    ),
  ]);
}

function quotaNames(requests: ResourceList, limits: ResourceList): ResourceList {
  const names = new Map([["pods", count(1)]]);
  for (const [name, q] of requests) {
    if (isComputed(name) || isHugePages(name)) names.set(name, q);
    if (isComputed(name) || isHugePages(name) || isExtended(name)) names.set(`requests.${name}`, q);
  }
  for (const [name, q] of limits) if (isComputed(name)) names.set(`limits.${name}`, q);
  return names;
}

function isComputed(name: string): boolean {
  return (COMPUTE as readonly string[]).includes(name);
}

function isOverdue(pod: DeepReadonly<Pod>, now: number): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds: grace } = pod.metadata;
  return deletionTimestamp !== undefined && grace !== undefined && now > Date.parse(deletionTimestamp) + grace * 1000;
}

const MUST_SPECIFY: ReadonlySet<string> = new Set(
  (["cpu", "memory"] as const).flatMap((r) => [r, `requests.${r}`, `limits.${r}`]),
);

/** `must specify limits.cpu for: a,b; memory for: a` */
function unspecified(pod: DeepReadonly<Pod>, names: readonly string[]): string | undefined {
  const whole = pod.spec?.resources;
  if (Object.keys({ ...whole?.requests, ...whole?.limits }).length > 0) return undefined;
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const required = [...new Set(names)].filter((name) => MUST_SPECIFY.has(name)).sort();
  const missing = required.flatMap((name) => {
    const without = containers.filter(
      (c) => !quotaNames(parseList(c.resources?.requests), parseList(c.resources?.limits)).has(name),
    );
    const who = [...new Set(without.map((c) => c.name))].sort();
    return who.length ? [`${name} for: ${who.join(",")}`] : [];
  });
  return missing.length ? `must specify ${missing.join("; ")}` : undefined;
}

const SERVICE_NAMES: ReadonlySet<string> = new Set([
  "count/services",
  "services",
  "services.nodeports",
  "services.loadbalancers",
]);

function serviceUsage(service: DeepReadonly<Service>): ResourceList {
  const { type, ports = [], allocateLoadBalancerNodePorts } = service.spec ?? {};
  const balanced = type === "LoadBalancer";
  const chosen = ports.filter((p) => p.nodePort);
  const own = balanced && allocateLoadBalancerNodePorts === false ? chosen : ports;
  const nodePorts = balanced || type === "NodePort" ? own.length : 0;
  return new Map([
    ["count/services", count(1)],
    ["services", count(1)],
    ["services.nodeports", count(nodePorts)],
    ["services.loadbalancers", count(balanced ? 1 : 0)],
  ]);
}

const CLAIM_NAMES = ["persistentvolumeclaims", "requests.storage"] as const;
const OF_CLASS = ".storageclass.storage.k8s.io/";
const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

/** By the annotation that was there before the field. */
export function storageClassOf(claim: DeepReadonly<PersistentVolumeClaim>): string | undefined {
  return claim.metadata.annotations?.[CLASS_ANNOTATION] ?? claim.spec?.storageClassName;
}

function claimUsage(claim: DeepReadonly<PersistentVolumeClaim>): ResourceList {
  const storageClass = storageClassOf(claim);
  const asked = parseList(claim.spec?.resources?.requests).get("storage");
  const usage = new Map([
    ["count/persistentvolumeclaims", count(1)],
    ["persistentvolumeclaims", count(1)],
    ...(asked ? [["requests.storage", asked] as const] : []),
  ]);
  if (!storageClass) return usage;
  const own = [...usage].filter(([name]) => (CLAIM_NAMES as readonly string[]).includes(name));
  return new Map([...usage, ...own.map(([name, q]) => [storageClass + OF_CLASS + name, q] as const)]);
}

const EVALUATORS: Readonly<Record<string, Evaluator>> = {
  pods: podEvaluator,
  services: {
    covers: (name) => SERVICE_NAMES.has(name),
    usage: (o) => serviceUsage(o as DeepReadonly<Service>),
  },
  persistentvolumeclaims: {
    covers: (name) =>
      name === "count/persistentvolumeclaims" ||
      CLAIM_NAMES.some((own) => name === own || name.endsWith(OF_CLASS + own)),
    usage: (o) => claimUsage(o as DeepReadonly<PersistentVolumeClaim>),
  },
};

/** The kinds that a quota over these names counts. */
export function countedKinds(hard: WrittenList | undefined): readonly Counted[] {
  const kinds = new Map<string, Counted>();
  for (const name of Object.keys(hard ?? {})) {
    const kind = kindOf(name);
    if (kind) kinds.set(countName(kind), kind);
  }
  return [...kinds.values()];
}

function kindOf(name: string): Counted | undefined {
  const generic = /^count\/([^.]+)(?:\.(.+))?$/.exec(name);
  if (generic) return { group: generic[2] ?? "", plural: generic[1] ?? "" };
  if (PLAIN_COUNTS.has(name)) return { group: "", plural: name };
  const found = Object.entries(EVALUATORS).find(([, evaluator]) => evaluator.covers(name));
  return found && { group: "", plural: found[0] };
}

/** The same amount, canonical. */
export function canonical(list: WrittenList | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(list ?? {}).map(([k, v]) => [k, formatQuantity(parseQuantity(v))]));
}
