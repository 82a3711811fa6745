/** Runs a Job's Pods until enough of them have succeeded. */
import { deepEqual } from "../../api/equal.ts";
import type { Job, Pod } from "../../api/generated/types.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { keyOf, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { fromLabelSelector } from "../../api/selectors.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects, slowStart } from "../workload/owned-objects.ts";
import { claimOf, enqueueOwners, type Ownership } from "../workload/owners.ts";
import { isActive, ownerReference, type ReadonlyPod } from "../workload/pods.ts";
import { standingOf } from "./assess.ts";
import { isFinished } from "./finished.ts";
import { isTracked, podFor, TRACKING_FINALIZER } from "./job-pods.ts";
import { runOrphans } from "./orphans.ts";
import { planPods, type PodPlan } from "./plan.ts";
import { reportOf } from "./status.ts";
import { TrackedPods } from "./tracked-pods.ts";

const NAME = "job-controller";
/** What `spec.managedBy` calls this controller. */
const MANAGER = "kubernetes.io/job-controller";

/** Runs until the signal aborts. */
export async function runJobs(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const controller = new JobController(o, recorder);
  enqueueOwners(queue, controller.ownership);
  const { owners, owned } = controller.ownership;
  await together(
    signal,
    (s) =>
      runController(
        {
          ...o,
          name: NAME,
          queue,
          workers: 8,
          after: [owners, owned],
          reconcile: (key, sig, r) => controller.reconcile(key, sig, r),
        },
        s,
      ),
    (s) => runOrphans(o, s),
  );
}

class JobController {
  readonly ownership: Ownership<Job, Pod>;
  readonly #o: ControllerParts;
  readonly #recorder: EventRecorder;
  readonly #owned: OwnedObjects<Pod>;
  readonly #tracked: TrackedPods;

  constructor(o: ControllerParts, recorder: EventRecorder) {
    const owned = o.informers.of(pods);
    this.#o = o;
    this.#recorder = recorder;
    this.ownership = {
      ref: jobs,
      owners: o.informers.of(jobs),
      owned,
      selector: ({ spec }) => fromLabelSelector(spec?.selector),
    };
    this.#owned = new OwnedObjects({ client: o.client, ref: pods, informer: owned });
    this.#tracked = new TrackedPods({ client: o.client, informer: owned });
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const job = this.ownership.owners.get(key);
    if (!job || isFinished(job) || (job.spec?.managedBy ?? MANAGER) !== MANAGER) return "done";
    const object = `jobs/${keyOf(job)}@${job.metadata.resourceVersion ?? ""}`;
    const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object });
    const now = this.#o.clock.now();
    const plan = planPods(standingOf(job, await this.#claim(job, cause, signal), now), now);
    let failure: unknown;
    try {
      await this.#act(job, plan, cause, signal);
    } catch (error) {
      failure = error;
    }
    await this.#report(job, cause, signal);
    if (failure !== undefined) throw failure;
    return plan.lookAgainAt === Infinity ? "done" : { againAfterMs: plan.lookAgainAt - now };
  }

  /** Takes on and lets go, then gives what the Job has. */
  async #claim(
    job: DeepReadonly<Job>,
    cause: (r: string) => Cause,
    signal: AbortSignal,
  ): Promise<readonly ReadonlyPod[]> {
    const found = claimOf(this.ownership, job);
    for (const pod of found.release) {
      await this.#tracked.release(pod, cause("LabelsChanged"), signal);
      const current = this.ownership.owned.get(keyOf(pod));
      if (current) await this.#owned.release(current, job, cause("LabelsChanged"), signal);
    }
    for (const pod of found.adopt.filter(isActive)) {
      const { ownerReferences = [], finalizers = [] } = pod.metadata;
      const metadata = {
        ownerReferences: [...ownerReferences, ownerReference(jobs as ResourceRef, job)],
        finalizers: [...new Set([...finalizers, TRACKING_FINALIZER])],
      };
      await this.#owned.patch(pod, { metadata }, cause("Adopted"), signal);
    }
    return claimOf(this.ownership, job).owned;
  }

  async #act(job: DeepReadonly<Job>, plan: PodPlan, cause: (r: string) => Cause, signal: AbortSignal): Promise<void> {
    const tell = this.#tell(job);
    await all(plan.delete, async (pod) => {
      if (plan.blameless) await this.#tracked.release(pod, cause("TooManyPods"), signal);
      await this.#owned.delete(pod, cause(plan.blameless ? "TooManyPods" : "JobEnds"), signal);
      tell("Normal", "SuccessfulDelete", `Deleted pod: ${nameOf(pod)}`);
    });
    await slowStart(plan.create.length, async (i) => {
      try {
        const created = await this.#owned.create(podFor(job, plan.create[i] ?? {}), cause("TooFewPods"), signal);
        tell("Normal", "SuccessfulCreate", `Created pod: ${nameOf(created)}`);
      } catch (error) {
        // Its namespace is on its way out: so is the Job.
        if (!isReason(error, "NotFound") && !signal.aborted) {
          tell("Warning", "FailedCreate", `Error creating: ${(error as Error).message}`);
        }
        throw error;
      }
    });
  }

  /** The order is the promise: see J1 and J2 in status.ts. */
  async #report(job: DeepReadonly<Job>, cause: (r: string) => Cause, signal: AbortSignal): Promise<void> {
    const owned = claimOf(this.ownership, job).owned;
    const now = this.#o.clock.now();
    const { status, release, events } = reportOf(standingOf(job, owned, now), now);
    if (!deepEqual(job.status, status)) {
      try {
        const api = this.#o.client.resource(jobs, namespaceOf(job));
        const written = await api.updateStatus({ ...job, status }, { cause: cause("StatusChanged") });
        await this.ownership.owners.whenShows(written, signal);
      } catch (error) {
        if (isReason(error, "NotFound")) return;
        throw error;
      }
    }
    const tell = this.#tell(job);
    for (const { type, reason, message } of events) tell(type, reason, message);
    await all(release.filter(isTracked), (pod) => this.#tracked.release(pod, cause("Counted"), signal));
  }

  #tell(job: DeepReadonly<Job>) {
    const subject = subjectOf(jobs as ResourceRef, job);
    return (type: "Normal" | "Warning", reason: string, message: string) =>
      this.#recorder.event(subject, type, reason, message);
  }
}

/** All are tried; rejects with the first failure. */
async function all<T>(items: readonly T[], fn: (item: T) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(items.map(fn));
  const failed = results.find((r) => r.status === "rejected");
  if (failed) throw failed.reason;
}
