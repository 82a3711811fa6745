/** What a Pod's status tells of its resources and of their change, in the kubelet's words. Pure. */
import type { ContainerStatus, PodCondition, PodStatus, ResourceRequirements } from "../../api/generated/types.ts";
import { canonicalQuantity } from "../../api/quantity.ts";
import { CPU_PERIOD, type LiveResources } from "../../runtime/resources.ts";
import type { RuntimeContainer, RuntimePod } from "../../runtime/runtime.ts";
import { rfc3339 } from "../../util/clock.ts";
import { type Container, containersOf, initContainersOf, newestOf, type Pod, type StepError } from "../facts.ts";
import { quotaOf, sharesOf } from "../resources.ts";
import type { Resources } from "./allocation.ts";
import type { StatusEvent } from "../transitions.ts";
import type { Offer, PendingResize } from "./allocations.ts";
import { liveResourcesOf, planResize } from "./plan.ts";

export interface ResizeStatusInput {
  /** As granted. */
  readonly pod: Pod;
  readonly actual: RuntimePod | undefined;
  readonly pending: PendingResize | undefined;
  /** Of updates that failed, by container id. */
  readonly errors: ReadonlyMap<string, StepError>;
  readonly now: number;
}

export const RESIZE_CONDITIONS = ["PodResizePending", "PodResizeInProgress"] as const;

/** The status with what its containers were granted and have. */
export function withResources(status: PodStatus, i: ResizeStatusInput): PodStatus {
  const of = (list: readonly ContainerStatus[] | undefined, specs: readonly Container[]) =>
    list?.map((s) => {
      const c = specs.find((x) => x.name === s.name);
      return c ? { ...s, ...resourcesOf(i, c, newestOf(i.actual, s.name)) } : s;
    });
  const [mains, inits] = [
    of(status.containerStatuses, containersOf(i.pod)),
    of(status.initContainerStatuses, initContainersOf(i.pod)),
  ];
  const others = (status.conditions ?? []).filter((c) => !RESIZE_CONDITIONS.some((type) => type === c.type));
  return {
    ...status,
    ...(status.conditions && { conditions: [...others, ...conditionsOf(i)] }),
    ...(mains && { containerStatuses: mains }),
    ...(inits && { initContainerStatuses: inits }),
  };
}

function resourcesOf(
  { pod }: ResizeStatusInput,
  c: Container,
  actual: RuntimeContainer | undefined,
): Pick<ContainerStatus, "resources" | "allocatedResources"> {
  const granted = c.resources ?? {};
  const live = actual?.state === "running" ? actual.resources : undefined;
  const resources = live ? told(granted, liveResourcesOf(pod, c), live) : cloned(granted);
  return {
    ...(granted.requests && { allocatedResources: { ...granted.requests } }),
    resources,
  };
}

/** The kernel counts coarser than people write: where its number is that of the grant, the grant is told. */
function told(granted: Resources, wanted: LiveResources, live: LiveResources): ResourceRequirements {
  const cpuRequest =
    live.cpuShares === wanted.cpuShares || live.cpuShares === undefined
      ? granted.requests?.["cpu"]
      : milli(inverse(live.cpuShares, sharesOf, 1024 / 1000));
  const cpuLimit =
    live.cpuQuota === wanted.cpuQuota || live.cpuQuota === undefined
      ? granted.limits?.["cpu"]
      : milli(inverse(live.cpuQuota, quotaOf, CPU_PERIOD / 1000));
  const memoryLimit =
    live.memoryBytes === wanted.memoryBytes || live.memoryBytes === undefined
      ? granted.limits?.["memory"]
      : canonicalQuantity(inBinary(live.memoryBytes));
  return {
    ...cloned(granted),
    ...(granted.requests && { requests: withValue(granted.requests, { cpu: cpuRequest }) }),
    ...(granted.limits && { limits: withValue(granted.limits, { cpu: cpuLimit, memory: memoryLimit }) }),
  };
}

/** The least number of millis that the kernel counts as `n`. */
function inverse(n: number, count: (milli: number) => number, perMilli: number): number {
  const guess = Math.max(1, Math.floor(n / perMilli));
  return count(guess) === n ? guess : guess + 1;
}

const milli = (n: number) => canonicalQuantity(`${n}m`);
const inBinary = (bytes: number) => (bytes % 1024 === 0 ? `${bytes / 1024}Ki` : `${bytes}`);

function withValue(
  list: Readonly<Record<string, string>>,
  values: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const set = Object.entries(values).filter((e): e is [string, string] => e[1] !== undefined && e[0] in list);
  return { ...list, ...Object.fromEntries(set) };
}

const cloned = (r: Resources) => structuredClone(r) as ResourceRequirements;

function conditionsOf(i: ResizeStatusInput): PodCondition[] {
  const failed = [...i.errors].find(([id]) => i.actual?.containers.some((c) => c.id === id))?.[1];
  const progress = failed ? { reason: "Error", message: failed.message } : isInProgress(i) ? {} : undefined;
  const told = { PodResizePending: i.pending, PodResizeInProgress: progress };
  return RESIZE_CONDITIONS.flatMap((type) => {
    const verdict = told[type];
    if (!verdict) return [];
    const before = i.pod.status?.conditions?.find((c) => c.type === type);
    const since = before?.status === "True" ? before.lastTransitionTime : undefined;
    const generation = i.pod.metadata.generation;
    return [
      {
        type,
        status: "True",
        ...verdict,
        lastTransitionTime: since ?? rfc3339(i.now),
        ...(generation !== undefined && { observedGeneration: generation }),
      },
    ];
  });
}

/** Some running container has not yet what it was granted. */
function isInProgress({ pod, actual }: ResizeStatusInput): boolean {
  return [...initContainersOf(pod), ...containersOf(pod)].some((c) => {
    const newest = newestOf(actual, c.name);
    return newest !== undefined && planResize(pod, c, newest) !== undefined;
  });
}

/** What was decided about a change of resources. `pod`: as it asks for it. */
export function resizeEvent(
  decided: NonNullable<Offer["decided"]>,
  pod: Pod,
  pending: PendingResize | undefined,
): StatusEvent {
  if (decided === "ResizeStarted") return { type: "Normal", reason: decided, message: resizeMessage("started", pod) };
  const message = resizeMessage(pending?.reason ?? "", pod, pending?.message);
  return { type: "Warning", reason: decided, message };
}

/** Everything has what it was granted. `pod`: with its status before. */
export function resizeEnd(pod: Pod, now: PodStatus): readonly StatusEvent[] {
  const inProgress = (s: Pod["status"]) => s?.conditions?.some((c) => c.type === "PodResizeInProgress") ?? false;
  if (!inProgress(pod.status) || inProgress(now) || now.phase !== "Running") return [];
  return [{ type: "Normal", reason: "ResizeCompleted", message: resizeMessage("completed", pod) }];
}

/** `Pod resize started: {"containers":[…],"generation":2}` */
export function resizeMessage(what: string, pod: Pod, error?: string): string {
  const of = (list: readonly Container[]) => list.map((c) => ({ name: c.name, resources: c.resources ?? {} }));
  const inits = of(initContainersOf(pod));
  const summary = {
    ...(inits.length > 0 && { initContainers: inits }),
    containers: of(containersOf(pod)),
    generation: pod.metadata.generation ?? 0,
    ...(error !== undefined && { error }),
  };
  return `Pod resize ${what}: ${JSON.stringify(summary)}`;
}
