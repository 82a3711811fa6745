/** Keeps a Pod of each DaemonSet on every node that fits. */
import { deepEqual } from "../../api/equal.ts";
import type { DaemonSet, DaemonSetStatus, Node, Pod } from "../../api/generated/types.ts";
import { daemonSets } from "../../api/kinds/apps/daemonset.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { keyOf, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { fromLabelSelector } from "../../api/selectors.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { type History, RevisionHistory, type WriteContext } from "../history/history.ts";
import { type Revision, templateOf } from "../history/plan.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects, slowStart } from "../workload/owned-objects.ts";
import { claimOf, enqueueOwners, type Ownership } from "../workload/owners.ts";
import { isActive, type ReadonlyPod } from "../workload/pods.ts";
import { FailedPods } from "./failures.ts";
import { type DaemonSetPlan, planDaemonSet, type Step, wantedOf } from "./plan.ts";
import { podFor, type ReadonlyDaemonSet, REVISION } from "./pod.ts";

const NAME = "daemonset-controller";
const ref = daemonSets as unknown as ResourceRef;
/** More Pods at once would hold up all else for too long; the next reconcile goes on. */
const BURST = 250;

export async function runDaemonSets(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const controller = new DaemonSetController(o, recorder);
  const { ownership, history, nodes: informer } = controller;
  enqueueOwners(queue, ownership);
  enqueueOwners(queue, history.ownership);
  informer.onChange((_, now, old) => {
    if (sameToPods(now, old)) return;
    for (const set of ownership.owners.list()) queue.add(keyOf(set));
  });
  const after = [ownership.owners, ownership.owned, history.ownership.owned, informer];
  await together(signal, (s) =>
    runController(
      { ...o, name: NAME, queue, workers: 2, after, reconcile: (key, sig, r) => controller.reconcile(key, sig, r) },
      s,
    ),
  );
}

/** A node's heartbeats concern no DaemonSet. */
function sameToPods(now: DeepReadonly<Node> | undefined, old: DeepReadonly<Node> | undefined): boolean {
  if (!now || !old) return false;
  return deepEqual(now.metadata.labels, old.metadata.labels) && deepEqual(now.spec?.taints, old.spec?.taints);
}

type Context = WriteContext<DaemonSet>;

class DaemonSetController {
  readonly ownership: Ownership<DaemonSet, Pod>;
  readonly history: RevisionHistory<DaemonSet>;
  readonly nodes: Informer<Node>;
  readonly #o: ControllerParts;
  readonly #recorder: EventRecorder;
  readonly #pods: OwnedObjects<Pod>;
  readonly #failed = new FailedPods();

  constructor(o: ControllerParts, recorder: EventRecorder) {
    const selector = ({ spec }: ReadonlyDaemonSet) => fromLabelSelector(spec?.selector);
    const owned = o.informers.of(pods);
    this.#o = o;
    this.#recorder = recorder;
    this.nodes = o.informers.of(nodes);
    this.ownership = { ref: daemonSets, owners: o.informers.of(daemonSets), owned, selector };
    this.history = new RevisionHistory(o, {
      ref: daemonSets,
      selector,
      template: ({ spec }) => spec?.template ?? {},
      hashLabel: REVISION,
    });
    this.#pods = new OwnedObjects({ client: o.client, ref: pods, informer: owned });
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const owner = this.ownership.owners.get(key);
    if (!owner) this.#failed.forget(key);
    // What it has goes with it, or stays, as its deletion says.
    if (!owner || owner.metadata.deletionTimestamp !== undefined) return "done";
    const object = `daemonsets/${key}@${owner.metadata.resourceVersion ?? ""}`;
    const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object });
    const w: Context = { owner, cause, signal };
    await this.#claim(w);
    const history = await this.history.sync(w, owner.status?.collisionCount ?? 0);
    const failure = await this.#act(w, history.update, this.#plan(owner, history)).catch((e: unknown) => e as Error);
    const { status, lookAgainAt } = this.#plan(owner, history);
    await this.#report(w, status);
    if (failure) throw failure;
    const live = new Set(this.#owned(owner).map((pod) => pod.metadata.labels?.[REVISION]));
    const isLive = (r: Revision) => live.has(hashLabel(r)) || nameOf(r) === nameOf(history.update);
    await this.history.truncate(w, isLive, owner.spec?.revisionHistoryLimit ?? 10);
    return lookAgainAt === Infinity ? "done" : { againAfterMs: lookAgainAt - this.#o.clock.now() };
  }

  #owned(owner: ReadonlyDaemonSet): readonly ReadonlyPod[] {
    return claimOf(this.ownership, owner).owned;
  }

  #plan(owner: ReadonlyDaemonSet, { update, collisionCount }: History): DaemonSetPlan {
    return planDaemonSet(wantedOf(owner, { hash: hashLabel(update), collisionCount }), {
      nodes: this.nodes.list(),
      pods: this.#owned(owner),
      now: this.#o.clock.now(),
      retryAt: (node) => this.#failed.retryAt(keyOf(owner), node),
    });
  }

  async #claim({ owner, cause, signal }: Context): Promise<void> {
    const found = claimOf(this.ownership, owner);
    for (const pod of found.release) await this.#pods.release(pod, owner, cause("LabelsChanged"), signal);
    for (const pod of found.adopt.filter(isActive)) {
      await this.#pods.adopt(pod, { ref, object: owner }, cause("Adopted"), signal);
    }
  }

  async #act(w: Context, revision: Revision, { steps }: DaemonSetPlan): Promise<void> {
    const creations = steps.filter((s) => s.do === "create").slice(0, BURST);
    const deletions = steps.filter((s) => s.do === "delete").slice(0, BURST);
    const results = await Promise.allSettled([
      slowStart(creations.length, async (i) => {
        const step = creations[i];
        if (step) await this.#create(w, step, revision);
      }),
      ...deletions.map((step) => this.#delete(w, step)),
    ]);
    const failed = results.find((r) => r.status === "rejected");
    if (failed) throw failed.reason;
  }

  async #create(w: Context, step: Step & { do: "create" }, revision: Revision): Promise<void> {
    const body = podFor(w.owner, { node: step.node, template: templateOf(revision), hash: hashLabel(revision) });
    const subject = subjectOf(ref, w.owner);
    try {
      const created = await this.#pods.create(body, w.cause(step.reason), w.signal);
      this.#recorder.event(subject, "Normal", "SuccessfulCreate", `Created pod: ${nameOf(created)}`);
    } catch (error) {
      // Its namespace is on its way out: so is the owner.
      if (!isReason(error, "NotFound") && !w.signal.aborted) {
        this.#recorder.event(subject, "Warning", "FailedCreate", `Error creating: ${(error as Error).message}`);
      }
      throw error;
    }
  }

  async #delete(w: Context, { pod, node, reason }: Step & { do: "delete" }): Promise<void> {
    const subject = subjectOf(ref, w.owner);
    if (reason === "PodFailed") {
      this.#failed.replaced(keyOf(w.owner), node, this.#o.clock.now());
      const message = `Found failed daemon pod ${keyOf(pod)} on node ${node}, will try to kill it`;
      this.#recorder.event(subject, "Warning", "FailedDaemonPod", message);
    } else if (reason === "PodSucceeded") {
      const message = `Found succeeded daemon pod ${keyOf(pod)} on node ${node}, will try to delete it`;
      this.#recorder.event(subject, "Normal", "SucceededDaemonPod", message);
    }
    await this.#pods.delete(pod, w.cause(reason), w.signal);
    this.#recorder.event(subject, "Normal", "SuccessfulDelete", `Deleted pod: ${nameOf(pod)}`);
  }

  async #report({ owner, cause, signal }: Context, status: DaemonSetStatus): Promise<void> {
    if (deepEqual(owner.status, status)) return;
    try {
      const api = this.#o.client.resource(daemonSets, namespaceOf(owner));
      const written = await api.updateStatus({ ...owner, status }, { cause: cause("StatusChanged") });
      await this.ownership.owners.whenShows(written, signal);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
}

const hashLabel = (revision: Revision) => revision.metadata.labels?.[REVISION] ?? nameOf(revision);
