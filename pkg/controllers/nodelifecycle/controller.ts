/** Notices nodes that are lost, says so, keeps Pods off them, and has the Pods on them moved. */
import type { Lease, Node, Pod } from "../../api/generated/types.ts";
import { leases } from "../../api/kinds/coordination/lease.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { condition } from "../../api/pod.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { Heartbeats } from "./heartbeats.ts";
import {
  evictionTaint,
  isBeingEmptied,
  mustBeUnready,
  planTaints,
  type ReadonlyNode,
  readyStatus,
  silentConditions,
  unreadyStatus,
} from "./plan.ts";
import { NODE_LIFECYCLE, type NodeLifecycleSettings } from "./settings.ts";
import { zoneOf, Zones } from "./zones.ts";

const NAME = "node-controller";
const LEASE_NAMESPACE = "kube-node-lease";

/** Runs until the signal aborts. Keys are those of Nodes. */
export async function runNodeLifecycle(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const c = new NodeLifecycle(o, queue, recorder);
  const reconcile = (key: string, s: AbortSignal, run: ReconcileRun) => c.reconcile(key, s, run);
  await runController({ ...o, name: NAME, queue, reconcile, workers: 8, after: c.informers }, signal);
}

type CauseOf = (reason: string) => Cause;

class NodeLifecycle {
  readonly #o: ControllerParts;
  readonly #settings: NodeLifecycleSettings;
  readonly #queue: WorkQueue;
  readonly #recorder: EventRecorder;
  readonly #nodes: Informer<Node>;
  readonly #pods: Informer<Pod>;
  readonly #leases: Informer<Lease>;
  readonly #heartbeats = new Heartbeats();
  readonly #zones: Zones;
  /** Of each node that is not ready: uids of the Pods that were told that they are not, either. */
  readonly #told = new Map<string, Set<string>>();

  constructor(o: ControllerParts, queue: WorkQueue, recorder: EventRecorder) {
    this.#o = o;
    this.#settings = { ...NODE_LIFECYCLE, ...o.nodeLifecycle };
    this.#queue = queue;
    this.#recorder = recorder;
    this.#zones = new Zones(this.#settings);
    this.#nodes = o.informers.of(nodes);
    this.#pods = o.informers.of(pods);
    this.#leases = o.informers.of(leases);
    this.#nodes.onChange((key, now, old) => this.#nodeChanged(key, now, old));
    this.#leases.onChange((_, now) => now && this.#heard(now));
    // One that was bound, or said to be ready, while its node was on its way out.
    this.#pods.onChange((_, now) => {
      const node = now?.spec?.nodeName && this.#nodes.get(now.spec.nodeName);
      if (node && this.#unready(node, [now]).length > 0) queue.add(nameOf(node));
    });
  }

  get informers() {
    return [this.#nodes, this.#pods, this.#leases];
  }

  #nodeChanged(key: string, now: ReadonlyNode | undefined, old: ReadonlyNode | undefined): void {
    const counted = now && { zone: zoneOf(now), ready: readyStatus(now) === "True" };
    if (this.#zones.changed(key, counted)) {
      for (const node of this.#nodes.list()) if (evictionTaint(node)) this.#queue.add(nameOf(node));
    }
    if (!now || counted?.ready) this.#told.delete(key);
    else if (!this.#told.has(key)) this.#told.set(key, new Set());
    if (now) {
      const mark = condition(now.status?.conditions, "Ready")?.lastHeartbeatTime;
      this.#heartbeats.beat(key, "status", mark, this.#o.clock.now());
      if (old && readyStatus(old) === "True" && !counted?.ready) this.#event(now, "NodeNotReady");
    }
    this.#queue.add(key);
  }

  /** Costs next to nothing: it comes every two seconds from every node. */
  #heard(lease: DeepReadonly<Lease>): void {
    if (namespaceOf(lease) !== LEASE_NAMESPACE) return;
    this.#heartbeats.beat(nameOf(lease), "lease", lease.spec?.renewTime, this.#o.clock.now());
  }

  #event(node: ReadonlyNode, reason: string): void {
    const message = `Node ${nameOf(node)} status is now: ${reason}`;
    this.#recorder.event(subjectOf(nodes, node), "Normal", reason, message);
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const node = this.#nodes.get(key);
    if (!node) {
      this.#heartbeats.forget(key);
      return "done";
    }
    const object = `nodes/${key}@${node.metadata.resourceVersion ?? ""}`;
    const cause: CauseOf = (reason) => ({ component: NAME, reconcileId, reason, object });
    const silentIn = await this.#listen(node, signal);
    if (silentIn <= 0) await this.#writeConditions(node, cause, signal);
    const turnIn = await this.#writeTaints(this.#nodes.get(key) ?? node, cause, signal);
    await this.#markPods(this.#nodes.get(key) ?? node, cause, signal);
    const againAfterMs = Math.min(silentIn > 0 ? silentIn : Infinity, turnIn);
    return againAfterMs === Infinity ? "done" : { againAfterMs };
  }

  /** How long the node may be silent still; before it is given up, the server itself is asked. */
  async #listen(node: ReadonlyNode, signal: AbortSignal): Promise<number> {
    const { graceMs, startupGraceMs } = this.#settings;
    const grace = readyStatus(node) === undefined ? startupGraceMs : graceMs;
    const remaining = () => this.#heartbeats.remaining(nameOf(node), grace, this.#o.clock.now());
    const rest = remaining();
    if (rest > 0 || !silentConditions(node, 0)) return rest;
    try {
      const fieldSelector = `metadata.name=${nameOf(node)}`;
      const { items } = await this.#o.client.resource(leases, LEASE_NAMESPACE).list({ fieldSelector }, signal);
      for (const lease of items) this.#heard(lease);
    } catch (error) {
      // Who cannot hear cannot tell who is silent.
      this.#heartbeats.restart(this.#o.clock.now());
      throw error;
    }
    return remaining();
  }

  async #writeConditions(node: ReadonlyNode, cause: CauseOf, signal: AbortSignal): Promise<void> {
    const conditions = silentConditions(node, this.#o.clock.now());
    if (!conditions) return;
    const next = { ...node, status: { ...node.status, conditions } };
    const written = await unlessGone(
      this.#o.client.resource(nodes).updateStatus(next, { cause: cause("NodeStatusUnknown") }),
    );
    if (written) await this.#nodes.whenShows(written, signal);
  }

  /** Milliseconds until the node may be emptied, where it has to wait for its turn. */
  async #writeTaints(node: ReadonlyNode, cause: CauseOf, signal: AbortSignal): Promise<number> {
    const now = this.#o.clock.now();
    const zone = zoneOf(node);
    let wait = 0;
    if (evictionTaint(node)) {
      const begun = isBeingEmptied(node) && this.#zones.rate(zone) > 0;
      wait = begun ? 0 : this.#zones.takeTurn(zone, now);
    }
    const taints = planTaints(node, wait === 0, now);
    if (taints) {
      const { uid, resourceVersion } = node.metadata;
      const body = { metadata: { uid, resourceVersion }, spec: { taints: taints.length > 0 ? taints : null } };
      const reason = evictionTaint(node) ? "NodeNotReady" : "NodeConditionsChanged";
      const api = this.#o.client.resource(nodes);
      const written = await unlessGone(
        api.patch(nameOf(node), "application/merge-patch+json", body, { cause: cause(reason) }),
      );
      if (written) await this.#nodes.whenShows(written, signal);
    }
    return wait > 0 ? wait : Infinity;
  }

  #unready(node: ReadonlyNode, on: readonly DeepReadonly<Pod>[]): readonly DeepReadonly<Pod>[] {
    const told = this.#told.get(nameOf(node));
    return mustBeUnready(node, on, (pod) => told?.has(uidOf(pod)) ?? false);
  }

  /** So that nothing is sent to them any more: they are not ready, whatever they last said. */
  async #markPods(node: ReadonlyNode, cause: CauseOf, signal: AbortSignal): Promise<void> {
    const marked = this.#unready(node, this.#pods.byIndex("node", nameOf(node)));
    const results = await Promise.allSettled(
      marked.map(async (pod) => {
        const next = { ...pod, status: unreadyStatus(pod, this.#o.clock.now()) } as DeepReadonly<Pod>;
        const api = this.#o.client.resource(pods, namespaceOf(pod));
        const written = await unlessGone(api.updateStatus(next, { cause: cause("NodeNotReady") }));
        this.#told.get(nameOf(node))?.add(uidOf(pod));
        if (!written) return;
        this.#recorder.event(subjectOf(pods, pod), "Warning", "NodeNotReady", "Node is not ready");
        await this.#pods.whenShows(written, signal);
      }),
    );
    const failed = results.find((r) => r.status === "rejected");
    if (failed) throw failed.reason;
  }
}

async function unlessGone<T>(write: Promise<T>): Promise<T | undefined> {
  try {
    return await write;
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}
