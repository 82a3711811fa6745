/** Starts Jobs by the clock. */
import { deepClone, deepEqual } from "../../api/equal.ts";
import type { CronJob, Job } from "../../api/generated/types.ts";
import { cronJobs } from "../../api/kinds/batch/cronjob.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { controllerOf, keyOf, makeKey, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects } from "../workload/owned-objects.ts";
import { ownerReference } from "../workload/pods.ts";
import { jobName, planCronJob, reportOf } from "./plan.ts";
import { parseSchedule, type Schedule, zonedTime } from "./schedule.ts";

const NAME = "cronjob-controller";
const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/** The clock may be set forward: then what is due is not what a timer waits for. */
const CLOCK_CHECK_MS = 10 * 60_000;

/** Runs until the signal aborts. */
export async function runCronJobs(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const [owners, owned] = [o.informers.of(cronJobs), o.informers.of(jobs)];
  const controller = new CronJobController(o, owners, owned, recorder);
  owners.onChange((key) => queue.add(key));
  owned.onChange((_, now, old) => {
    for (const job of [now, old]) {
      const manager = job && controllerOf(job);
      if (manager?.kind === cronJobs.kind) queue.add(makeKey(namespaceOf(job ?? { metadata: {} }), manager.name));
    }
  });
  await runController(
    {
      ...o,
      name: NAME,
      queue,
      workers: 4,
      after: [owners, owned],
      reconcile: (key, sig, r) => controller.reconcile(key, sig, r),
    },
    signal,
  );
}

type Tell = (type: "Normal" | "Warning", reason: string, message: string) => void;

class CronJobController {
  readonly #o: ControllerParts;
  readonly #owners: Informer<CronJob>;
  readonly #owned: Informer<Job>;
  readonly #jobs: OwnedObjects<Job>;
  readonly #recorder: EventRecorder;

  constructor(o: ControllerParts, owners: Informer<CronJob>, owned: Informer<Job>, recorder: EventRecorder) {
    this.#o = o;
    this.#owners = owners;
    this.#owned = owned;
    this.#jobs = new OwnedObjects({ client: o.client, ref: jobs, informer: owned });
    this.#recorder = recorder;
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const o = this.#owners.get(key);
    if (!o) return "done";
    const object = `cronjobs/${keyOf(o)}@${o.metadata.resourceVersion ?? ""}`;
    const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object });
    const subject = subjectOf(cronJobs as ResourceRef, o);
    const tell: Tell = (type, reason, message) => this.#recorder.event(subject, type, reason, message);
    const now = this.#o.clock.now();
    const plan = planCronJob(o, this.#jobsOf(o), this.#schedule(o, tell), now);
    for (const e of plan.events) tell(e.type, e.reason, e.message);
    for (const job of plan.delete) {
      await this.#jobs.delete(job, cause("Outdated"), signal);
      tell("Normal", "SuccessfulDelete", `Deleted job ${nameOf(job)}`);
    }
    if (plan.start !== undefined) await this.#start(o, plan.start, tell, cause("Due"), signal);
    await this.#report(o, plan.start, tell, cause("StatusChanged"), signal);
    if (plan.lookAgainAt === Infinity) return "done";
    return { againAfterMs: Math.min(plan.lookAgainAt - this.#o.clock.now(), CLOCK_CHECK_MS) };
  }

  #jobsOf(o: DeepReadonly<CronJob>) {
    return this.#owned.byIndex("controller", uidOf(o));
  }

  /** Undefined: it cannot be read (an older one, from before it was checked), and is told. */
  #schedule({ spec }: DeepReadonly<CronJob>, tell: Tell): Schedule | undefined {
    try {
      return parseSchedule(spec.schedule, spec.timeZone);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      tell("Warning", "UnparseableSchedule", `unparseable schedule: ${JSON.stringify(spec.schedule)} : ${why}`);
      return undefined;
    }
  }

  async #start(o: DeepReadonly<CronJob>, due: number, tell: Tell, cause: Cause, signal: AbortSignal): Promise<void> {
    try {
      const created = await this.#jobs.create(jobFor(o, due), cause, signal);
      tell("Normal", "SuccessfulCreate", `Created job ${nameOf(created)}`);
    } catch (error) {
      // By itself, before a crash; or somebody else has taken the name, and nothing can be done about this time.
      if (isReason(error, "AlreadyExists")) return;
      if (!isReason(error, "NotFound") && !signal.aborted) {
        tell("Warning", "FailedCreate", `Error creating job: ${(error as Error).message}`);
      }
      throw error;
    }
  }

  async #report(
    o: DeepReadonly<CronJob>,
    started: number | undefined,
    tell: Tell,
    cause: Cause,
    signal: AbortSignal,
  ): Promise<void> {
    const { status, events } = reportOf(o, this.#jobsOf(o), started);
    if (deepEqual(o.status ?? {}, status)) return;
    try {
      const api = this.#o.client.resource(cronJobs, namespaceOf(o));
      await this.#owners.whenShows(await api.updateStatus({ ...o, status }, { cause }), signal);
    } catch (error) {
      if (isReason(error, "NotFound")) return;
      throw error;
    }
    for (const e of events) tell(e.type, e.reason, e.message);
  }
}

function jobFor(o: DeepReadonly<CronJob>, due: number): Job {
  const { metadata, spec } = deepClone(o.spec.jobTemplate);
  return {
    metadata: {
      name: jobName(o, due),
      namespace: namespaceOf(o),
      ...(metadata?.labels && { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [SCHEDULED_AT]: zonedTime(due, o.spec.timeZone) },
      ownerReferences: [ownerReference(cronJobs as ResourceRef, o)],
    },
    ...(spec && { spec }),
  };
}
