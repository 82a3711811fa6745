import { splitKey, keyOf, namespaceOf, uidOf, controllerOf, type ObjectKey } from "../api/object.ts";
import type { Pod, PodAffinityTerm } from "../api/generated/types.ts";
import { effectiveRequests, type ResourceTotals } from "../api/pod.ts";
import { fromLabelSelector, matchesLabels, type Requirement, type Selector } from "../api/selectors.ts";
import { own } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";

/** `cpu` in millicores, all else in whole units. Whole numbers, so that sums can be taken back exactly. */
export type Resources = Readonly<Record<string, number>>;

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** A pod (anti-)affinity term, its selectors read. */
export interface AffinityTerm {
  /** Equal for terms that mean the same. */
  readonly id: string;
  readonly topologyKey: string;
  readonly selector: Selector | undefined;
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: Selector | undefined;
  /** 0 for a required term. */
  readonly weight: number;
}

/** A Pod with what the scheduler asks of it, worked out once. */
export interface PodInfo {
  readonly key: ObjectKey;
  readonly uid: string;
  readonly pod: DeepReadonly<Pod>;
  readonly priority: number;
  readonly requests: Resources;
  /** cpu and memory, with a guess where a container asks for nothing: else all such Pods would land on one node. */
  readonly nonZero: { readonly cpu: number; readonly memory: number };
  readonly ports: readonly HostPort[];
  /** Pods of one group are replicas of each other, and should spread. "" → stands alone. */
  readonly group: string;
  /** Equal for Pods that agree in all that a selection may ask: namespace, labels, group, and whether they are on their way out. */
  readonly sort: string;
  readonly required: readonly AffinityTerm[];
  readonly requiredAnti: readonly AffinityTerm[];
  readonly preferred: readonly AffinityTerm[];
  readonly preferredAnti: readonly AffinityTerm[];
}

const GUESS = { cpu: "100m", memory: "200Mi" };

/** Throws when the Pod has a quantity or selector that cannot be read; the API server lets no such Pod in. */
export function podInfo(pod: DeepReadonly<Pod>): PodInfo {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  const requests = toNumbers(effectiveRequests(pod));
  const guessed = asksForAll(pod) ? requests : toNumbers(effectiveRequests(withGuesses(pod)));
  const group = groupOf(pod);
  return {
    key: keyOf(pod),
    uid: uidOf(pod),
    pod,
    priority: pod.spec?.priority ?? 0,
    requests,
    nonZero: { cpu: guessed["cpu"] ?? 0, memory: guessed["memory"] ?? 0 },
    ports: hostPorts(pod),
    group,
    sort: JSON.stringify([namespaceOf(pod), Boolean(pod.metadata.deletionTimestamp), group, sortedLabels(pod)]),
    required: (podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((t) => readTerm(pod, t, 0)),
    requiredAnti: (podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((t) =>
      readTerm(pod, t, 0),
    ),
    preferred: (podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((t) =>
      readTerm(pod, t.podAffinityTerm, t.weight),
    ),
    preferredAnti: (podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((t) =>
      readTerm(pod, t.podAffinityTerm, t.weight),
    ),
  };
}

function toNumbers(totals: ResourceTotals): Resources {
  return Object.fromEntries(Object.entries(totals).map(([name, n]) => [name, Number(n)]));
}

function asksForAll({ spec }: DeepReadonly<Pod>): boolean {
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  return containers.every(({ resources: r }) => r?.requests?.["cpu"] && r.requests["memory"]);
}

function withGuesses(pod: DeepReadonly<Pod>): DeepReadonly<Pod> {
  if (!pod.spec) return pod;
  const guess = <C extends DeepReadonly<NonNullable<Pod["spec"]>["containers"][number]>>(c: C): C => ({
    ...c,
    resources: { ...c.resources, requests: { ...GUESS, ...c.resources?.requests } },
  });
  return {
    ...pod,
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map(guess),
      ...(pod.spec.initContainers && { initContainers: pod.spec.initContainers.map(guess) }),
    },
  };
}

function hostPorts(pod: DeepReadonly<Pod>): readonly HostPort[] {
  const containers = [
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === "Always"),
  ];
  return containers.flatMap((c) =>
    (c.ports ?? []).flatMap((p) =>
      p.hostPort ? [{ ip: p.hostIP || "0.0.0.0", protocol: p.protocol ?? "TCP", port: p.hostPort }] : [],
    ),
  );
}

/** By owner; Pods without one are replicas when they carry the same labels. */
function groupOf(pod: DeepReadonly<Pod>): string {
  const owner = controllerOf(pod);
  if (owner) return owner.uid;
  const labels = sortedLabels(pod);
  return labels.length === 0 ? "" : JSON.stringify([namespaceOf(pod), labels]);
}

function sortedLabels(pod: DeepReadonly<Pod>): readonly (readonly [key: string, value: string])[] {
  return Object.entries(pod.metadata.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}

function readTerm(pod: DeepReadonly<Pod>, t: DeepReadonly<PodAffinityTerm>, weight: number): AffinityTerm {
  const selector = fromLabelSelector(t.labelSelector);
  const own = [
    ...labelRequirements(pod, t.matchLabelKeys, "In"),
    ...labelRequirements(pod, t.mismatchLabelKeys, "NotIn"),
  ];
  const here = !t.namespaces?.length && !t.namespaceSelector;
  const namespaces = here ? [namespaceOf(pod)] : (t.namespaces ?? []).toSorted();
  const selectors = {
    selector: selector && [...selector, ...own],
    namespaceSelector: fromLabelSelector(t.namespaceSelector),
  };
  return {
    id: JSON.stringify([t.topologyKey, namespaces, selectors]),
    topologyKey: t.topologyKey,
    ...selectors,
    namespaces: new Set(namespaces),
    weight,
  };
}

/** `matchLabelKeys`: other Pods must have what this one has under these keys. */
export function labelRequirements(
  pod: DeepReadonly<Pod>,
  keys: readonly string[] | undefined,
  operator: "In" | "NotIn",
): readonly Requirement[] {
  return (keys ?? []).flatMap((key) => {
    const value = own(pod.metadata.labels, key);
    return value === undefined ? [] : [{ key, operator, values: [value] }];
  });
}

/** Whether `term` speaks of `other`. `labelsOf` gives a namespace's labels. */
export function termSelects(
  term: AffinityTerm,
  other: PodInfo,
  labelsOf: (namespace: string) => Readonly<Record<string, string>> | undefined,
): boolean {
  const { namespace } = splitKey(other.key);
  const inReach =
    term.namespaces.has(namespace) ||
    (term.namespaceSelector !== undefined && matchesLabels(term.namespaceSelector, labelsOf(namespace) ?? {}));
  return inReach && term.selector !== undefined && matchesLabels(term.selector, other.pod.metadata.labels);
}
