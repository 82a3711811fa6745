/** Keeps as many Pods as a ReplicaSet or a ReplicationController asks for. */
import { deepEqual } from "../../api/equal.ts";
import type { Pod, PodTemplateSpec, ReplicaSetStatus, ReplicationControllerStatus } from "../../api/generated/types.ts";
import type { ReplicaSet, ReplicationController } from "../../api/generated/types.ts";
import { replicaSets } from "../../api/kinds/apps/replicaset.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { replicationControllers } from "../../api/kinds/core/replicationcontroller.ts";
import { type ApiObject, controllerOf, keyOf, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { fromLabelSelector, type Selector } from "../../api/selectors.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects, slowStart } from "../workload/owned-objects.ts";
import { claimOf, enqueueOwners, type Ownership } from "../workload/owners.ts";
import { isActive, podFromTemplate, type ReadonlyPod } from "../workload/pods.ts";
import { planReplicas, type ReplicaPlan, type Replicated } from "./plan.ts";

/** What the two kinds that do the same differ in. */
interface ReplicaKind<O extends ApiObject> {
  readonly name: string;
  readonly ref: ResourceRef<O>;
  readonly selector: (owner: DeepReadonly<O>) => Selector | undefined;
  readonly read: (owner: DeepReadonly<O>) => Read;
  readonly withStatus: (owner: DeepReadonly<O>, status: ReplicaSetStatus) => DeepReadonly<O>;
}

type Read = Replicated & { readonly template: DeepReadonly<PodTemplateSpec> };

function read({ spec, status, metadata }: DeepReadonly<ReplicaSet> | DeepReadonly<ReplicationController>): Read {
  const template = spec?.template ?? {};
  return {
    replicas: spec?.replicas ?? 1,
    minReadySeconds: spec?.minReadySeconds ?? 0,
    template,
    templateLabels: fromLabelSelector({ matchLabels: template.metadata?.labels }) ?? [],
    generation: metadata.generation,
    deleted: metadata.deletionTimestamp !== undefined,
    status,
  };
}

const replicaSetKind: ReplicaKind<ReplicaSet> = {
  name: "replicaset-controller",
  ref: replicaSets,
  selector: ({ spec }) => fromLabelSelector(spec?.selector),
  read,
  withStatus: (owner, status) => ({ ...owner, status }),
};

const replicationControllerKind: ReplicaKind<ReplicationController> = {
  name: "replication-controller",
  ref: replicationControllers,
  selector: ({ spec }) => fromLabelSelector({ matchLabels: spec?.selector }),
  read,
  withStatus(owner, all) {
    const status: ReplicationControllerStatus & ReplicaSetStatus = { ...all };
    delete status.terminatingReplicas;
    return { ...owner, status };
  },
};

export const runReplicaSets = (o: ControllerParts, signal: AbortSignal) => run(replicaSetKind, o, signal);
export const runReplicationControllers = (o: ControllerParts, signal: AbortSignal) =>
  run(replicationControllerKind, o, signal);

async function run<O extends ApiObject>(kind: ReplicaKind<O>, o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: kind.name });
  const controller = new ReplicaController(kind, o, recorder);
  enqueueOwners(queue, controller.ownership);
  const { owners, owned } = controller.ownership;
  await together(signal, (s) =>
    runController(
      {
        ...o,
        name: kind.name,
        queue,
        workers: 8,
        after: [owners, owned],
        reconcile: (key, sig, r) => controller.reconcile(key, sig, r),
      },
      s,
    ),
  );
}

class ReplicaController<O extends ApiObject> {
  readonly ownership: Ownership<O, Pod>;
  readonly #kind: ReplicaKind<O>;
  readonly #o: ControllerParts;
  readonly #recorder: EventRecorder;
  readonly #pods: OwnedObjects<Pod>;

  constructor(kind: ReplicaKind<O>, o: ControllerParts, recorder: EventRecorder) {
    const owners: Informer<O> = o.informers.of(kind.ref);
    const owned = o.informers.of(pods);
    this.#kind = kind;
    this.#o = o;
    this.#recorder = recorder;
    this.ownership = { ref: kind.ref, owners, owned, selector: kind.selector };
    this.#pods = new OwnedObjects({ client: o.client, ref: pods, informer: owned });
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const owner = this.ownership.owners.get(key);
    if (!owner) return "done";
    const at = `${this.#kind.ref.plural}/${keyOf(owner)}@${owner.metadata.resourceVersion ?? ""}`;
    const cause = (reason: string): Cause => ({ component: this.#kind.name, reconcileId, reason, object: at });
    await this.#pods.settle(owner, signal);
    const owned = await this.#claim(owner, cause, signal);
    const { template, ...wanted } = this.#kind.read(owner);
    const crowd = crowding(this.ownership, owner);
    const plan = planReplicas(wanted, owned, crowd, this.#o.clock.now());
    let failure: { reason: "FailedCreate" | "FailedDelete"; message: string } | undefined;
    try {
      await this.#act(owner, template, plan, cause, signal);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      failure = { reason: plan.create > 0 ? "FailedCreate" : "FailedDelete", message };
    }
    const now = this.#o.clock.now();
    const after = this.#owned(owner);
    const { status, lookAgainAt } = planReplicas(wanted, after, crowd, now, failure);
    await this.#report(owner, wanted.status, status, cause, signal);
    if (failure) throw new Error(failure.message);
    return lookAgainAt === Infinity ? "done" : { againAfterMs: lookAgainAt - now };
  }

  #owned(owner: DeepReadonly<O>): readonly ReadonlyPod[] {
    return claimOf(this.ownership, owner).owned;
  }

  /** Takes on and lets go, then gives what the owner has. */
  async #claim(
    owner: DeepReadonly<O>,
    cause: (r: string) => Cause,
    signal: AbortSignal,
  ): Promise<readonly ReadonlyPod[]> {
    const found = claimOf(this.ownership, owner);
    const ref = this.#kind.ref as ResourceRef;
    for (const pod of found.release) await this.#pods.release(pod, owner, cause("LabelsChanged"), signal);
    const adopt = found.adopt.filter(isActive);
    for (const pod of adopt) await this.#pods.adopt(pod, { ref, object: owner }, cause("Adopted"), signal);
    return adopt.length > 0 ? this.#owned(owner) : found.owned;
  }

  async #act(
    owner: DeepReadonly<O>,
    template: DeepReadonly<PodTemplateSpec>,
    plan: ReplicaPlan,
    cause: (r: string) => Cause,
    signal: AbortSignal,
  ): Promise<void> {
    const subject = subjectOf(this.#kind.ref as ResourceRef, owner);
    await slowStart(plan.create, async () => {
      const body = podFromTemplate(this.#kind.ref as ResourceRef, owner, template);
      try {
        const created = await this.#pods.create(body, cause("TooFewReplicas"), signal);
        this.#recorder.event(subject, "Normal", "SuccessfulCreate", `Created pod: ${nameOf(created)}`);
      } catch (error) {
        // Its namespace is on its way out: so is the owner.
        if (!isReason(error, "NotFound") && !signal.aborted) {
          this.#recorder.event(subject, "Warning", "FailedCreate", `Error creating: ${(error as Error).message}`);
        }
        throw error;
      }
    });
    const results = await Promise.allSettled(
      plan.delete.map(async (pod) => {
        await this.#pods.delete(pod, cause("TooManyReplicas"), signal);
        this.#recorder.event(subject, "Normal", "SuccessfulDelete", `Deleted pod: ${nameOf(pod)}`);
      }),
    );
    const failed = results.find((r) => r.status === "rejected");
    if (failed) throw failed.reason;
  }

  async #report(
    owner: DeepReadonly<O>,
    old: DeepReadonly<ReplicaSetStatus> | undefined,
    status: ReplicaSetStatus,
    cause: (r: string) => Cause,
    signal: AbortSignal,
  ): Promise<void> {
    if (deepEqual(old, status)) return;
    try {
      const next = this.#kind.withStatus(owner, status);
      const api = this.#o.client.resource(this.#kind.ref, namespaceOf(owner));
      const written = await api.updateStatus(next, { cause: cause("StatusChanged") });
      await this.ownership.owners.whenShows(written, signal);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
}

/** How many active Pods of owners with the same manager (the ReplicaSets of one Deployment) are on a node. */
function crowding<O extends ApiObject>(o: Ownership<O, Pod>, owner: DeepReadonly<O>): (node: string) => number {
  let counts: Map<string, number> | undefined;
  const count = () => {
    const manager = controllerOf(owner)?.uid;
    const family = manager === undefined ? [owner] : o.owners.byIndex("controller", manager);
    const found = new Map<string, number>();
    for (const member of family) {
      for (const pod of o.owned.byIndex("controller", member.metadata.uid ?? "")) {
        const node = pod.spec?.nodeName ?? "";
        if (isActive(pod)) found.set(node, (found.get(node) ?? 0) + 1);
      }
    }
    return found;
  };
  return (node) => (counts ??= count()).get(node) ?? 0;
}
