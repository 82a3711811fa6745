/**
 * Deletes what belongs to nobody any more, and lets go of what waits for its dependents: Kubernetes' garbage collector.
 * Keys of the queue are uids.
 */
import type { ApiObject, OwnerReference } from "../../api/object.ts";
import { nameOf, namespaceOf, parseApiVersion, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { type Outcome, runController } from "../../reconcile/controller.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { Logger } from "../../util/log.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { Graph, type GraphNode, ownersOf } from "./graph.ts";
import { FOREGROUND, type GcAction, ORPHAN, type OwnerState, planObject } from "./plan.ts";

const NAME = "generic-garbage-collector";

/** Runs until the signal aborts. */
export async function runGarbageCollector(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  const collector = new Collector(o, queue);
  await together(
    signal,
    (s) => collector.watchAll(s),
    (s) =>
      runController(
        {
          ...o,
          name: NAME,
          queue,
          workers: 8,
          after: [collector],
          reconcile: (uid, _, run) => collector.look(uid, run),
        },
        s,
      ),
  );
}

class Collector {
  readonly #o: ControllerParts;
  readonly #queue: WorkQueue;
  readonly #graph = new Graph();
  readonly #watched = new Map<string, { ref: ResourceRef; informer: Informer<ApiObject> }>();

  constructor(o: ControllerParts, queue: WorkQueue) {
    this.#o = o;
    this.#queue = queue;
  }

  /** Keeps the graph; kinds join and leave it as they come and go. */
  async watchAll(signal: AbortSignal): Promise<void> {
    const { kinds } = this.#o;
    const follow = () => {
      const collected = kinds.all().filter(isCollected);
      const wanted = new Map(collected.map((ref) => [nameOfKind(ref), ref]));
      for (const name of this.#watched.keys()) if (!wanted.has(name)) this.#forget(name);
      for (const [name, ref] of wanted) if (!this.#watched.has(name) && !signal.aborted) this.#watch(name, ref);
    };
    await kinds.whenSynced(signal);
    kinds.onChange(follow);
    follow();
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }

  #forget(name: string): void {
    const watched = this.#watched.get(name);
    if (!watched) return;
    this.#watched.delete(name);
    for (const o of watched.informer.list()) this.#graph.remove(uidOf(o));
    // Ends its loop; nobody waits for that.
    void this.#o.informers.drop(watched.ref);
  }

  #watch(name: string, ref: ResourceRef): void {
    const informer = this.#o.informers.of(ref);
    this.#watched.set(name, { ref, informer });
    informer.onChange((_, now, old) => (now ? this.#put({ ref, object: now }, old) : old && this.#gone(old)));
  }

  /** All that was there at the start is in the graph. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    await this.#o.kinds.whenSynced(signal);
    for (const { informer } of this.#watched.values()) await informer.whenSynced(signal);
  }

  #put(node: GraphNode, old: DeepReadonly<ApiObject> | undefined): void {
    this.#graph.put(node);
    const { metadata } = node.object;
    if (metadata.ownerReferences || metadata.finalizers?.some((f) => f === FOREGROUND || f === ORPHAN)) {
      this.#queue.add(uidOf(node.object));
    }
    // An owner that waits may have lost who blocked it.
    if (old?.metadata.ownerReferences) for (const uid of ownersOf(old)) this.#lookIfWaiting(uid);
  }

  #gone(o: DeepReadonly<ApiObject>): void {
    const uid = uidOf(o);
    this.#graph.remove(uid);
    for (const { object } of this.#graph.dependents(uid)) this.#queue.add(uidOf(object));
    for (const owner of ownersOf(o)) this.#lookIfWaiting(owner);
  }

  #lookIfWaiting(uid: string): void {
    if (this.#graph.get(uid)?.object.metadata.deletionTimestamp) this.#queue.add(uid);
  }

  async look(uid: string, run: { reconcileId: string; log: Logger }): Promise<Outcome> {
    const node = this.#graph.get(uid);
    if (!node) return "done";
    const dependents = this.#graph.dependents(uid);
    const owners = await this.#owners(node);
    const actions = planObject(
      node.object.metadata,
      owners,
      dependents.map((d) => d.object.metadata),
    );
    for (const action of actions) {
      run.log.info({ kind: node.ref.kind, object: nameOf(node.object), ...action }, "garbage collection");
      await this.#act(node, dependents, action, run.reconcileId).catch((error: unknown) => {
        // It has gone, or is another object by now: the graph will learn of it.
        if (!isReason(error, "NotFound")) throw error;
      });
    }
    return "done";
  }

  async #owners(node: GraphNode): Promise<Map<string, OwnerState>> {
    const states = new Map<string, OwnerState>();
    for (const reference of node.object.metadata.ownerReferences ?? []) {
      states.set(reference.uid, await this.#ownerState(node, reference));
    }
    return states;
  }

  async #ownerState(node: GraphNode, reference: DeepReadonly<OwnerReference>): Promise<OwnerState> {
    const known = this.#graph.get(reference.uid);
    // An owner in another namespace is none: nobody in it could know of this object.
    const near = !known?.ref.namespaced || namespaceOf(known.object) === namespaceOf(node.object);
    if (known && near) return stateOf(known.object);
    const { group } = parseApiVersion(reference.apiVersion);
    const ref = this.#o.kinds.all().find((k) => k.group === group && k.kind === reference.kind);
    // A kind that is not served (any more) says nothing about its objects.
    if (!ref) return "solid";
    if (ref.namespaced && !node.ref.namespaced) return "solid";
    try {
      const found = await this.#o.client.resource(ref, namespaceOf(node.object) || undefined).get(reference.name);
      return uidOf(found) === reference.uid ? stateOf(found) : "absent";
    } catch (error) {
      if (isReason(error, "NotFound")) return "absent";
      throw error;
    }
  }

  async #act(node: GraphNode, dependents: readonly GraphNode[], action: GcAction, reconcileId: string): Promise<void> {
    const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object: describe(node) });
    const api = this.#o.client.resource(node.ref, namespaceOf(node.object) || undefined);
    switch (action.type) {
      case "delete": {
        const { uid = "", resourceVersion = "" } = node.object.metadata;
        const preconditions = { uid, resourceVersion };
        const o = { propagationPolicy: action.propagation, preconditions, cause: cause("OwnersGone") };
        return api.delete(nameOf(node.object), o);
      }
      case "disown":
        return this.#disown(node, action.owners, cause("OwnerGone"));
      case "release":
        for (const dependent of dependents) {
          await this.#disown(dependent, [uidOf(node.object)], cause("Orphaned")).catch((error: unknown) => {
            if (!isReason(error, "NotFound")) throw error;
          });
        }
        return this.#dropFinalizer(node, ORPHAN, cause("Orphaned"));
      case "dropFinalizer":
        return this.#dropFinalizer(node, action.finalizer, cause("DependentsGone"));
      case "pursue":
        for (const { object } of dependents) if (!object.metadata.deletionTimestamp) this.#queue.add(uidOf(object));
    }
  }

  #disown(node: GraphNode, owners: readonly string[], cause: Cause): Promise<void> {
    const kept = (node.object.metadata.ownerReferences ?? []).filter((r) => !owners.includes(r.uid));
    return this.#patch(node, { ownerReferences: kept.length > 0 ? kept : null }, cause);
  }

  #dropFinalizer(node: GraphNode, finalizer: string, cause: Cause): Promise<void> {
    return this.#patch(node, { finalizers: node.object.metadata.finalizers?.filter((f) => f !== finalizer) }, cause);
  }

  /** Fails with Conflict when what was decided on has changed. */
  async #patch(node: GraphNode, change: object, cause: Cause): Promise<void> {
    const { uid, resourceVersion } = node.object.metadata;
    const api = this.#o.client.resource(node.ref, namespaceOf(node.object) || undefined);
    const patch = { metadata: { uid, resourceVersion, ...change } };
    await api.patch(nameOf(node.object), "application/merge-patch+json", patch, { cause });
  }
}

function stateOf({ metadata }: DeepReadonly<ApiObject>): OwnerState {
  return metadata.deletionTimestamp && metadata.finalizers?.includes(FOREGROUND) ? "waiting" : "solid";
}

/** Events are many, belong to nobody and own nothing. */
const isCollected = (ref: ResourceRef) => ref.kind !== "Event";

const nameOfKind = (ref: ResourceRef) => `${ref.plural}.${ref.group}/${ref.version}`;

function describe({ ref, object }: GraphNode): string {
  const at = namespaceOf(object) ? `${namespaceOf(object)}/` : "";
  return `${ref.plural}/${at}${nameOf(object)}@${object.metadata.resourceVersion ?? ""}`;
}
