/** Keeps the replicas of a StatefulSet: stable names and storage, ordinal by ordinal. */
import { deepEqual } from "../../api/equal.ts";
import type { Pod, StatefulSet, StatefulSetStatus } from "../../api/generated/types.ts";
import { statefulSets } from "../../api/kinds/apps/statefulset.ts";
import { persistentVolumeClaims } from "../../api/kinds/core/persistentvolumeclaim.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { keyOf, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { fromLabelSelector } from "../../api/selectors.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import { type History, RevisionHistory, type WriteContext } from "../history/history.ts";
import { templateOf } from "../history/plan.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects, slowStart } from "../workload/owned-objects.ts";
import { claimOf, enqueueOwners, type Ownership } from "../workload/owners.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { Claims } from "./claims-writer.ts";
import { identityLabels, isClaimOf, ordinalOf, podAt, type ReadonlySet, revisionOf } from "./identity.ts";
import { planStatefulSet, type Step, wantedOf } from "./plan.ts";

const NAME = "statefulset-controller";
const ref = statefulSets as unknown as ResourceRef;

export async function runStatefulSets(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const controller = new StatefulSetController(o, recorder);
  const { ownership, history } = controller;
  enqueueOwners(queue, ownership);
  enqueueOwners(queue, history.ownership);
  const claims = o.informers.of(persistentVolumeClaims);
  // A replica may wait for a claim to go, or miss one.
  claims.onChange((_, now, old) => {
    const claim = now ?? old;
    for (const set of claim ? ownership.owners.byIndex("namespace", namespaceOf(claim)) : []) {
      if (claim && isClaimOf(set, nameOf(claim))) queue.add(keyOf(set));
    }
  });
  const after = [ownership.owners, ownership.owned, history.ownership.owned, claims];
  await together(signal, (s) =>
    runController(
      { ...o, name: NAME, queue, workers: 8, after, reconcile: (key, sig, r) => controller.reconcile(key, sig, r) },
      s,
    ),
  );
}

type Context = WriteContext<StatefulSet>;

class StatefulSetController {
  readonly ownership: Ownership<StatefulSet, Pod>;
  readonly history: RevisionHistory<StatefulSet>;
  readonly #o: ControllerParts;
  readonly #recorder: EventRecorder;
  readonly #pods: OwnedObjects<Pod>;
  readonly #claims: Claims;

  constructor(o: ControllerParts, recorder: EventRecorder) {
    const selector = ({ spec }: ReadonlySet) => fromLabelSelector(spec?.selector);
    const owned = o.informers.of(pods);
    this.#o = o;
    this.#recorder = recorder;
    this.ownership = { ref: statefulSets, owners: o.informers.of(statefulSets), owned, selector };
    this.history = new RevisionHistory(o, {
      ref: statefulSets,
      selector,
      template: ({ spec }) => spec?.template ?? {},
      hashLabel: "controller.kubernetes.io/hash",
    });
    this.#pods = new OwnedObjects({ client: o.client, ref: pods, informer: owned });
    this.#claims = new Claims(o, recorder);
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const owner = this.ownership.owners.get(key);
    // What it has goes with it, or stays, as its deletion says.
    if (!owner || owner.metadata.deletionTimestamp !== undefined) return "done";
    const object = `statefulsets/${key}@${owner.metadata.resourceVersion ?? ""}`;
    const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object });
    const w: Context = { owner, cause, signal };
    await this.#claimPods(w);
    const history = await this.history.sync(w, owner.status?.collisionCount ?? 0);
    const failure = await this.#bringNearer(w, history).catch((error: unknown) => error as Error);
    const now = this.#o.clock.now();
    const { status, lookAgainAt } = planStatefulSet(wanted(owner, history), this.#members(owner), now);
    await this.#report(w, status);
    if (failure) throw failure;
    const live = new Set([status.currentRevision, status.updateRevision, ...this.#members(owner).map(revisionOf)]);
    await this.history.truncate(w, (r) => live.has(nameOf(r)), owner.spec?.revisionHistoryLimit ?? 10);
    return lookAgainAt === Infinity ? "done" : { againAfterMs: lookAgainAt - now };
  }

  #members(owner: ReadonlySet): readonly ReadonlyPod[] {
    return claimOf(this.ownership, owner).owned.filter((pod) => ordinalOf(nameOf(owner), pod) !== undefined);
  }

  /** Only Pods with a name of the set can be of it. */
  async #claimPods({ owner, cause, signal }: Context): Promise<void> {
    const isMember = (pod: ReadonlyPod) => ordinalOf(nameOf(owner), pod) !== undefined;
    const found = claimOf(this.ownership, owner);
    const strangers = found.owned.filter((pod) => !isMember(pod));
    for (const pod of [...found.release, ...strangers]) {
      await this.#pods.release(pod, owner, cause("LabelsChanged"), signal);
    }
    for (const pod of found.adopt.filter(isMember)) {
      await this.#pods.adopt(pod, { ref, object: owner }, cause("Adopted"), signal);
    }
  }

  async #bringNearer(w: Context, history: History): Promise<void> {
    const members = this.#members(w.owner);
    await this.#claims.tend(w, members);
    const { steps } = planStatefulSet(wanted(w.owner, history), members, this.#o.clock.now());
    const creations = steps.filter((s) => s.do === "create");
    const results = await Promise.allSettled([
      slowStart(creations.length, async (i) => {
        const step = creations[i];
        if (step) await this.#create(w, step, history);
      }),
      ...steps.map((step) => this.#change(w, step)),
    ]);
    const failed = results.find((r) => r.status === "rejected");
    if (failed) throw failed.reason;
  }

  async #create(w: Context, step: Step & { do: "create" }, history: History): Promise<void> {
    const revision = history.revisions.find((r) => nameOf(r) === step.revision);
    if (!revision) throw new Error(`there is no revision ${step.revision}`);
    // Its storage is about to go with the Pod before: a change of the claim brings us back.
    if (!(await this.#claims.provide(w, step.ordinal))) return;
    const pod = podAt(w.owner, step.ordinal, { template: templateOf(revision), revision: step.revision });
    await this.#tell(w, "create", pod, () => this.#pods.create(pod, w.cause(step.reason), w.signal));
  }

  async #change(w: Context, step: Step): Promise<void> {
    if (step.do === "create") return;
    const { pod } = step;
    const cause = w.cause(step.reason);
    if (step.do === "delete") return this.#tell(w, "delete", pod, () => this.#pods.delete(pod, cause, w.signal));
    const labels = identityLabels(nameOf(w.owner), step.ordinal);
    await this.#tell(w, "update", pod, () => this.#pods.patch(pod, { metadata: { labels } }, cause, w.signal));
  }

  async #tell(w: Context, verb: "create" | "delete" | "update", pod: ReadonlyPod, act: () => Promise<unknown>) {
    const subject = subjectOf(ref, w.owner);
    const what = `${verb} Pod ${nameOf(pod)} in StatefulSet ${nameOf(w.owner)}`;
    const title = `${verb.charAt(0).toUpperCase()}${verb.slice(1)}`;
    try {
      await act();
      this.#recorder.event(subject, "Normal", `Successful${title}`, `${what} successful`);
    } catch (error) {
      // Lost races and a namespace on its way out are no news.
      if (!w.signal.aborted && !isReason(error, "AlreadyExists", "Conflict", "NotFound")) {
        this.#recorder.event(subject, "Warning", `Failed${title}`, `${what} failed error: ${(error as Error).message}`);
      }
      throw error;
    }
  }

  async #report({ owner, cause, signal }: Context, status: StatefulSetStatus): Promise<void> {
    if (deepEqual(owner.status, status)) return;
    try {
      const api = this.#o.client.resource(statefulSets, namespaceOf(owner));
      const written = await api.updateStatus({ ...owner, status }, { cause: cause("StatusChanged") });
      await this.ownership.owners.whenShows(written, signal);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
}

function wanted(owner: ReadonlySet, { update, revisions, collisionCount }: History) {
  return wantedOf(owner, { update: nameOf(update), kept: revisions.map(nameOf), collisionCount });
}
