/** Moves the Pods of a Deployment from one template to the next, through ReplicaSets. */
import { deepEqual } from "../../api/equal.ts";
import type { Deployment, DeploymentStatus, ReplicaSet } from "../../api/generated/types.ts";
import { deployments } from "../../api/kinds/apps/deployment.ts";
import { replicaSets } from "../../api/kinds/apps/replicaset.ts";
import { controllerOf, keyOf, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { fromLabelSelector } from "../../api/selectors.ts";
import { isNamespaceTerminating, isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects } from "../workload/owned-objects.ts";
import { claimOf, enqueueOwners, type Ownership } from "../workload/owners.ts";
import { canonicalTemplate } from "../workload/template.ts";
import { REVISION } from "./annotations.ts";
import { familyOf, type ReadonlyDeployment, type ReadonlyReplicaSet, replicasOf } from "./family.ts";
import { type Change, type DeploymentPlan, planDeployment } from "./plan.ts";
import { type Done, reportOf } from "./status.ts";

const NAME = "deployment-controller";
const REF = deployments as unknown as ResourceRef;

/** Runs until the signal aborts. */
export async function runDeployments(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const controller = new DeploymentController(o, recorder);
  const { ownership } = controller;
  enqueueOwners(queue, ownership);
  await together(signal, (s) =>
    runController(
      {
        ...o,
        name: NAME,
        queue,
        workers: 8,
        after: [ownership.owners, ownership.owned],
        reconcile: (key, sig, run) => controller.reconcile(key, sig, run),
      },
      s,
    ),
  );
}

/** One reconcile: what writes say of themselves, and until when they may take. */
interface Run {
  readonly cause: (reason: string) => Cause;
  readonly signal: AbortSignal;
}

class DeploymentController {
  readonly ownership: Ownership<Deployment, ReplicaSet>;
  readonly #o: ControllerParts;
  readonly #recorder: EventRecorder;
  readonly #replicaSets: OwnedObjects<ReplicaSet>;

  constructor(o: ControllerParts, recorder: EventRecorder) {
    const [owners, owned] = [o.informers.of(deployments), o.informers.of(replicaSets)];
    this.#o = o;
    this.#recorder = recorder;
    this.ownership = { ref: deployments, owners, owned, selector: (d) => fromLabelSelector(d.spec?.selector) };
    this.#replicaSets = new OwnedObjects({ client: o.client, ref: replicaSets, informer: owned });
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const d = this.ownership.owners.get(key);
    if (!d) return "done";
    const object = `deployments/${keyOf(d)}@${d.metadata.resourceVersion ?? ""}`;
    const run: Run = { cause: (reason) => ({ component: NAME, reconcileId, reason, object }), signal };
    await this.#replicaSets.settle(d, signal);
    await this.#claim(d, run);
    const plan = planDeployment(d, this.#owned(d));
    const done = await this.#act(d, plan, run);
    const now = this.#o.clock.now();
    const family = familyOf(d, this.#owned(d));
    const { status, lookAgainAt } = reportOf(d, family, done, now);
    await this.#report(d, status, family.next?.metadata.annotations?.[REVISION], run);
    if (done.failure !== undefined) throw new Error(done.failure);
    return lookAgainAt === Infinity ? "done" : { againAfterMs: Math.max(0, lookAgainAt - now) };
  }

  #owned(d: ReadonlyDeployment): readonly ReadonlyReplicaSet[] {
    return claimOf(this.ownership, d).owned;
  }

  async #claim(d: ReadonlyDeployment, { cause, signal }: Run): Promise<void> {
    const found = claimOf(this.ownership, d);
    for (const rs of found.release) await this.#replicaSets.release(rs, d, cause("LabelsChanged"), signal);
    for (const rs of found.adopt) await this.#replicaSets.adopt(rs, { ref: REF, object: d }, cause("Adopted"), signal);
  }

  async #act(d: ReadonlyDeployment, plan: DeploymentPlan, run: Run): Promise<Done> {
    const { mode } = plan;
    if (plan.create) {
      const failure = await this.#create(d, plan.create, run);
      if (failure !== undefined) return { mode, failure };
    }
    for (const change of plan.change) await this.#change(d, change, run);
    for (const rs of plan.delete) await this.#replicaSets.delete(rs, run.cause("RevisionHistoryLimit"), run.signal);
    return { mode, ...(plan.create && { created: nameOf(plan.create) }) };
  }

  /** Gives why it failed, where the user should know. */
  async #create(d: ReadonlyDeployment, rs: ReplicaSet, { cause, signal }: Run): Promise<string | undefined> {
    try {
      await this.#replicaSets.create(rs, cause("NewTemplate"), signal);
    } catch (error) {
      if (isReason(error, "AlreadyExists")) await this.#onNameTaken(d, rs, { cause, signal });
      // Its namespace is gone or on its way out, and so is the Deployment: nobody need know.
      const silent = isReason(error, "AlreadyExists", "NotFound") || isNamespaceTerminating(error);
      if (signal.aborted || silent) throw error;
      const message = `Failed to create new replica set "${nameOf(rs)}": ${String((error as Error).message)}`;
      this.#recorder.event(subjectOf(REF, d), "Warning", "ReplicaSetCreateError", message);
      return message;
    }
    this.#scaled(d, rs, 0, rs.spec?.replicas ?? 0);
    return undefined;
  }

  /** By a stranger, or by another template with the same hash: the next attempt has another name. */
  async #onNameTaken(d: ReadonlyDeployment, rs: ReplicaSet, { cause, signal }: Run): Promise<void> {
    const there = await this.#o.client.resource(replicaSets, namespaceOf(d)).get(nameOf(rs), signal);
    const same = canonicalTemplate(there.spec?.template) === canonicalTemplate(rs.spec?.template);
    if (same && controllerOf(there)?.uid === uidOf(d)) return this.ownership.owned.whenShows(there, signal);
    const collisionCount = (d.status?.collisionCount ?? 0) + 1;
    await this.#write(d, { ...d, status: { ...d.status, collisionCount } }, { cause, signal }, "NameTaken");
  }

  async #change(d: ReadonlyDeployment, change: Change, { cause, signal }: Run): Promise<void> {
    const { replicaSet: rs, replicas, annotations, minReadySeconds } = change;
    const from = replicasOf(rs);
    const reason = replicas === from ? "Annotated" : replicas > from ? "ScaledUp" : "ScaledDown";
    const patch = { metadata: { annotations }, spec: { replicas, minReadySeconds } };
    await this.#replicaSets.patch(rs, patch, cause(reason), signal);
    this.#scaled(d, rs, from, replicas);
  }

  #scaled(d: ReadonlyDeployment, rs: ReadonlyReplicaSet, from: number, to: number): void {
    if (from === to) return;
    const message = `Scaled ${from < to ? "up" : "down"} replica set ${nameOf(rs)} from ${from} to ${to}`;
    this.#recorder.event(subjectOf(REF, d), "Normal", "ScalingReplicaSet", message);
  }

  async #report(d: ReadonlyDeployment, status: DeploymentStatus, revision: string | undefined, run: Run) {
    const current = d.metadata.annotations;
    if (deepEqual(d.status ?? {}, status) && (revision === undefined || current?.[REVISION] === revision)) return;
    const annotations = { ...current, ...(revision !== undefined && { [REVISION]: revision }) };
    await this.#write(d, { ...d, metadata: { ...d.metadata, annotations }, status }, run, "StatusChanged");
  }

  async #write(d: ReadonlyDeployment, next: ReadonlyDeployment, { cause, signal }: Run, reason: string): Promise<void> {
    try {
      const api = this.#o.client.resource(deployments, namespaceOf(d));
      const written = await api.updateStatus(next, { cause: cause(reason) });
      await this.ownership.owners.whenShows(written, signal);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
}
