/** Lets Jobs wait for what they need, and starts each when all its Pods can start. */
import { humanDuration } from "../../api/duration.ts";
import type { Job, JobCondition } from "../../api/generated/types.ts";
import { QUEUED, queuedCondition, queueOf, withPlace } from "../../api/job-queue.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { resourceQuotas } from "../../api/kinds/core/resourcequota.ts";
import { priorityClasses } from "../../api/kinds/scheduling/priorityclass.ts";
import { keyOf, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { isFinished } from "../job/finished.ts";
import type { ControllerParts } from "../parts.ts";
import { withCondition } from "../workload/conditions.ts";
import { planQueues, type Verdict } from "./plan.ts";

type ReadonlyJob = DeepReadonly<Job>;

const NAME = "job-queue-controller";
/** All queues are looked at together: they share the nodes. */
const KEY = "queues";
/** What changes together is looked at together. */
const GATHER_MS = 100;

/** Runs until the signal aborts. */
export async function runJobQueues(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const { informers } = o;
  const seen = [jobs, nodes, pods, resourceQuotas, priorityClasses].map((ref) => informers.of(ref as ResourceRef));
  for (const informer of seen) informer.onChange(() => queue.addAfter(KEY, GATHER_MS));
  const controller = new QueueController(o, recorder);
  const reconcile = (_: string, sig: AbortSignal, r: ReconcileRun) => controller.reconcile(sig, r);
  await runController({ ...o, name: NAME, queue, after: seen, reconcile }, signal);
}

/** Held back by its queue. (Who wants to hold one back without it takes the queue's name off.) */
function isWaiting(job: ReadonlyJob): boolean {
  return isQueued(job) && job.spec?.suspend === true;
}

function isQueued(job: ReadonlyJob): boolean {
  return queueOf(job) !== undefined && job.metadata.deletionTimestamp === undefined && !isFinished(job);
}

class QueueController {
  readonly #o: ControllerParts;
  readonly #jobs: Informer<Job>;
  readonly #recorder: EventRecorder;

  constructor(o: ControllerParts, recorder: EventRecorder) {
    this.#o = o;
    this.#jobs = o.informers.of(jobs);
    this.#recorder = recorder;
  }

  async reconcile(signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const all = this.#jobs.list();
    const waiting = all.filter(isWaiting);
    const cause = (job: ReadonlyJob, reason: string): Cause => {
      const object = `jobs/${keyOf(job)}@${job.metadata.resourceVersion ?? ""}`;
      return { component: NAME, reconcileId, reason, object };
    };
    const failures: unknown[] = [];
    const attempt = async (write: Promise<void>) => {
      await write.catch((error: unknown) => void (isReason(error, "NotFound") || failures.push(error)));
    };
    for (const verdict of waiting.length > 0 ? this.#plan(all, waiting) : []) {
      const { job } = verdict;
      if (verdict.start) await attempt(this.#start(job, cause(job, "Fits"), signal));
      else await attempt(this.#wait(verdict, cause(job, verdict.reason), signal));
    }
    for (const job of all) {
      if (isFinished(job) || isWaiting(job) || queuedCondition(job)?.status !== "True") continue;
      await attempt(this.#tellStarted(job, cause(job, "Started"), signal));
    }
    if (failures.length > 0) throw failures[0];
    return "done";
  }

  #plan(all: readonly ReadonlyJob[], waiting: readonly ReadonlyJob[]): readonly Verdict[] {
    const { informers, clock } = this.#o;
    const classes = informers.of(priorityClasses);
    const common = classes.list().find((c) => c.globalDefault)?.value ?? 0;
    return planQueues(waiting, {
      nodes: informers
        .of(nodes)
        .list()
        .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)),
      pods: informers.of(pods).list(),
      quotas: informers.of(resourceQuotas).list(),
      started: all.filter((job) => isQueued(job) && !isWaiting(job)),
      priorityOf(job) {
        const { priorityClassName } = job.spec?.template.spec ?? {};
        return priorityClassName ? (classes.get(priorityClassName)?.value ?? 0) : common;
      },
      now: clock.now(),
    });
  }

  /** This write alone decides: what comes after only tells of it. It fails when the Job has changed since it was seen. */
  async #start(job: ReadonlyJob, cause: Cause, signal: AbortSignal): Promise<void> {
    const { uid, resourceVersion } = job.metadata;
    const patch = { metadata: { uid, resourceVersion }, spec: { suspend: false } };
    const api = this.#o.client.resource(jobs, namespaceOf(job));
    const started = await api.patch(nameOf(job), "application/merge-patch+json", patch, { cause });
    await this.#jobs.whenShows(started, signal);
  }

  async #wait(v: Extract<Verdict, { start: false }>, cause: Cause, signal: AbortSignal): Promise<void> {
    const { job, reason, why, place } = v;
    const old = queuedCondition(job);
    const message = withPlace(why, place);
    if (old?.status === "True" && old.reason === reason && old.message === message) return;
    await this.#report(job, { type: QUEUED, status: "True", reason, message }, cause, signal);
    if (old?.reason !== reason) this.#tell(job, QUEUED, message);
  }

  async #tellStarted(job: ReadonlyJob, cause: Cause, signal: AbortSignal): Promise<void> {
    const since = Date.parse(queuedCondition(job)?.lastTransitionTime ?? "");
    const queue = queueOf(job);
    const waited = humanDuration(Math.max(this.#o.clock.now() - since, 0));
    const message = queue === undefined ? "left its queue" : `started after ${waited} in queue ${queue}`;
    const reason = queue === undefined ? "Left" : "Started";
    await this.#report(job, { type: QUEUED, status: "False", reason, message }, cause, signal);
    this.#tell(job, reason, message);
  }

  async #report(job: ReadonlyJob, next: JobCondition, cause: Cause, signal: AbortSignal): Promise<void> {
    const conditions = withCondition(job.status?.conditions, next, this.#o.clock.now());
    const probed = conditions.map((c) =>
      c.type === QUEUED ? { ...c, lastProbeTime: rfc3339(this.#o.clock.now()) } : c,
    );
    const api = this.#o.client.resource(jobs, namespaceOf(job));
    const written = await api.updateStatus({ ...job, status: { ...job.status, conditions: probed } }, { cause });
    await this.#jobs.whenShows(written, signal);
  }

  #tell(job: ReadonlyJob, reason: string, message: string): void {
    this.#recorder.event(subjectOf(jobs as ResourceRef, job), "Normal", reason, message);
  }
}
