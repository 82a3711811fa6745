/** What makes a Job wait in a queue, and how it says so: known to admission, to the controller and to the CLI. Pure. */
import type { DeepReadonly } from "../util/types.ts";
import type { Job, JobCondition } from "./generated/types.ts";
import { condition } from "./pod.ts";
import type { ApiObject } from "./object.ts";

/** Names the queue: a label or an annotation of a Job, or an annotation of a namespace for all Jobs born in it. */
export const QUEUE = "mini-kube.io/queue";
/** The condition of a Job that waits, or has waited. */
export const QUEUED = "Queued";

/** Undefined: it does not queue. */
export function queueOf(o: DeepReadonly<ApiObject>): string | undefined {
  return o.metadata.labels?.[QUEUE] || o.metadata.annotations?.[QUEUE] || undefined;
}

export function queuedCondition(job: DeepReadonly<Job>): DeepReadonly<JobCondition> | undefined {
  return condition(job.status?.conditions, QUEUED);
}

/** How many Pods it runs at a time: they start together or not at all. */
export function gangSize({ spec, status }: DeepReadonly<Job>): number {
  const { parallelism = 1, completions = Infinity } = spec ?? {};
  return Math.max(Math.min(parallelism, completions - (status?.succeeded ?? 0)), 0);
}

/** From 1 on. */
export interface Place {
  readonly place: number;
  readonly of: number;
  readonly queue: string;
}

export function withPlace(why: string, { place, of, queue }: Place): string {
  return `${why}; place ${place} of ${of} in queue ${queue}`;
}

/** Takes apart what {@link withPlace} has put together. */
export function splitPlace(message: string): { readonly why: string; readonly place: number | undefined } {
  const [, why, place] = /^(.*); place (\d+) of \d+ in queue \S+$/s.exec(message) ?? [];
  return { why: why ?? message, place: place === undefined ? undefined : Number(place) };
}
