/** What a Job's controller asks of a Pod, and how it makes one. Pure. */
import type { Container, Job, Pod } from "../../api/generated/types.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { nameOf } from "../../api/object.ts";
import { condition, isReady, isRestartableInit } from "../../api/pod.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { podFromTemplate, type ReadonlyPod, readySince } from "../workload/pods.ts";

/** On a Pod from birth until its end is in the Job's status: so none can vanish uncounted. */
export const TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking";
export const COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index";
/** How often Pods of this index have failed before, and how often without counting. */
export const INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count";
export const INDEX_IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count";
const INDEX_VARIABLE = "JOB_COMPLETION_INDEX";
const MAX_PREFIX = 58;

export function isTracked(pod: ReadonlyPod): boolean {
  return pod.metadata.finalizers?.includes(TRACKING_FINALIZER) ?? false;
}

/** Undefined: none, or none that can be read. */
export function indexOf(pod: ReadonlyPod): number | undefined {
  return naturalNumber(pod.metadata.annotations?.[COMPLETION_INDEX]);
}

/** Of Pods of its index before it. */
export function failuresBefore(pod: ReadonlyPod): { readonly counted: number; readonly ignored: number } {
  const annotations = pod.metadata.annotations ?? {};
  return {
    counted: naturalNumber(annotations[INDEX_FAILURES]) ?? 0,
    ignored: naturalNumber(annotations[INDEX_IGNORED_FAILURES]) ?? 0,
  };
}

function naturalNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** A Pod to be created. */
export interface PodSlot {
  readonly index?: number;
  /** Of an index with a limit of its own. */
  readonly failures?: { readonly counted: number; readonly ignored: number };
}

export function podFor(job: DeepReadonly<Job>, { index, failures }: PodSlot): Pod {
  const pod = podFromTemplate(jobs as ResourceRef, job, job.spec?.template ?? {});
  const { metadata, spec } = pod;
  metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), TRACKING_FINALIZER])];
  if (index === undefined) return pod;
  const suffix = `-${index}-`;
  metadata.generateName = nameOf(job).slice(0, MAX_PREFIX - suffix.length) + suffix;
  metadata.labels = { ...metadata.labels, [COMPLETION_INDEX]: String(index) };
  metadata.annotations = {
    ...metadata.annotations,
    [COMPLETION_INDEX]: String(index),
    ...(failures && { [INDEX_FAILURES]: String(failures.counted) }),
    ...(failures?.ignored && { [INDEX_IGNORED_FAILURES]: String(failures.ignored) }),
  };
  if (!spec) return pod;
  spec.hostname = `${nameOf(job)}-${index}`;
  for (const c of [...(spec.initContainers ?? []), ...spec.containers]) addIndexVariable(c);
  return pod;
}

/** Unless the author has one of that name. */
function addIndexVariable(c: Container): void {
  if (c.env?.some(({ name }) => name === INDEX_VARIABLE)) return;
  const fieldPath = `metadata.labels['${COMPLETION_INDEX}']`;
  c.env = [...(c.env ?? []), { name: INDEX_VARIABLE, valueFrom: { fieldRef: { fieldPath } } }];
}

/** In milliseconds; by what is known best: its containers, its readiness, its deletion, its creation. */
export function finishedAt(pod: ReadonlyPod): number {
  const { metadata, status, spec } = pod;
  const sidecars = new Set((spec?.initContainers ?? []).filter(isRestartableInit).map((c) => c.name));
  const ends = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []).filter((s) => sidecars.has(s.name)),
  ].map((s) => Date.parse(s.state?.terminated?.finishedAt ?? ""));
  if (ends.length > 0 && !ends.some(Number.isNaN)) return Math.max(...ends);
  const ready = condition(status?.conditions, "Ready");
  if (ready?.status === "False" && ready.lastTransitionTime) return Date.parse(ready.lastTransitionTime);
  if (metadata.deletionTimestamp) {
    return Date.parse(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
  }
  return Date.parse(metadata.creationTimestamp ?? "") || 0;
}

const PHASES = ["Pending", "Unknown", "Running"];

/** Sorts first what has done the least work: that is what a Job can best do without. */
export function byProgress(a: ReadonlyPod, b: ReadonlyPod): number {
  const [x, y] = [progressOf(a), progressOf(b)];
  const at = x.findIndex((n, i) => n !== y[i]);
  return at < 0 ? (nameOf(a) < nameOf(b) ? -1 : 1) : (x[at] ?? 0) - (y[at] ?? 0);
}

function progressOf(pod: ReadonlyPod): readonly number[] {
  return [
    pod.spec?.nodeName ? 1 : 0,
    PHASES.indexOf(pod.status?.phase ?? "Pending"),
    isReady(pod) ? 1 : 0,
    -(readySince(pod) ?? Infinity),
    -(Date.parse(pod.metadata.creationTimestamp ?? "") || 0),
  ];
}
