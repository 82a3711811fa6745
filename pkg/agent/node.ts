/** Keeps this node's Node object and its Lease up to date. */
import type { Lease, Node } from "../api/generated/types.ts";
import { semanticEqual } from "../api/equal.ts";
import { leases } from "../api/kinds/coordination/lease.ts";
import { nodes } from "../api/kinds/core/node.ts";
import type { ObjectMeta } from "../api/object.ts";
import { isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import { backoffMs } from "../util/backoff.ts";
import { type Clock, type Random, rfc3339Micro } from "../util/clock.ts";
import { settledWithin } from "../util/limit.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import {
  newNode,
  nodeAnnotations,
  nodeLabels,
  type NodeFacts,
  type NodeOptions,
  nodeStatus,
  withoutHeartbeat,
} from "./node-status.ts";

const LEASE_NAMESPACE = "kube-node-lease";
/** How often the Lease is renewed: all that says that the node lives, so it is small and costs one write. */
export const HEARTBEAT_MS = 2_000;
/** What the Lease promises: a sign of life within so many heartbeats, as the kubelet has it. */
const HEARTBEATS_PER_LEASE = 4;
/** The machine is looked at this often; what changed is written. */
const STATUS_MS = 10_000;
/** An unchanged status is written again this often; the Lease says meanwhile that we live. */
const REPORT_MS = 300_000;
const RETRY = { initialMs: 200, maxMs: 10_000, jitter: 0.3 };
const ATTEMPTS_ON_CONFLICT = 5;

export interface NodeReporterOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly node: () => NodeOptions;
  readonly facts: (signal: AbortSignal) => Promise<NodeFacts>;
}

export class NodeReporter {
  readonly #o: NodeReporterOptions;
  #reportedAt = 0;
  #lease: DeepReadonly<Lease> | undefined;
  #lookNow: () => void = () => {};
  /** Of our Node, as last seen. */
  #uid: string | undefined;

  constructor(o: NodeReporterOptions) {
    this.#o = o;
  }

  /** Creates the Node or adopts the one that is there; retries until it has worked. Rejects only by the signal. */
  async register(signal: AbortSignal): Promise<void> {
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted();
      try {
        const facts = await this.#o.facts(signal);
        await this.#createOrAdopt(facts);
        await this.report(signal, facts);
        return;
      } catch (error) {
        this.#o.log.warn({ err: error, failures }, "node not registered, will retry");
        await this.#o.clock.sleep(backoffMs(failures, RETRY, this.#o.random), signal);
      }
    }
  }

  /** Of the Node, once it is registered. */
  get uid(): string | undefined {
    return this.#uid;
  }

  /**
   * Renews the Lease every `intervalMs`, whatever else hangs; and writes the status when it changed or is old, looking
   * no more often than that. Who was silent for so long that it may have been given up says how it is as soon as it is
   * heard again.
   */
  async heartbeat(intervalMs: number, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#beat(intervalMs, signal), this.#look(Math.max(intervalMs, STATUS_MS), signal)]);
  }

  async #beat(intervalMs: number, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#o;
    for (let heard = clock.now(); !signal.aborted; await pause(clock, intervalMs, signal)) {
      try {
        const known = this.#lease;
        await settledWithin(clock, 2 * intervalMs, "renewing the lease", this.#renewLease(intervalMs));
        const goneMeanwhile = known !== undefined && known.metadata.uid !== this.#lease?.metadata.uid;
        if (goneMeanwhile || clock.now() - heard > 2 * intervalMs) this.#lookNow();
        heard = clock.now();
      } catch (error) {
        if (!signal.aborted) log.warn({ err: error }, "heartbeat failed");
      }
    }
  }

  async #look(intervalMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const soon = new AbortController();
      this.#lookNow = () => soon.abort();
      await pause(this.#o.clock, intervalMs, AbortSignal.any([signal, soon.signal]));
      if (signal.aborted) return;
      await this.report(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#o.log.warn({ err: error }, "node status not written, will retry");
      });
    }
  }

  /** Writes the status if it differs from what the server has. */
  async report(signal: AbortSignal, given?: NodeFacts): Promise<void> {
    const api = this.#o.client.resource<Node>(nodes);
    const facts = given ?? (await this.#o.facts(signal));
    for (let attempt = 1; !signal.aborted; attempt++) {
      const o = this.#o.node();
      const now = this.#o.clock.now();
      try {
        const node = await api.get(o.nodeName, signal);
        this.#uid = node.metadata.uid;
        const status = nodeStatus(o, facts, node.status, now);
        const same = semanticEqual(withoutHeartbeat(status), withoutHeartbeat(node.status));
        if (same && now - this.#reportedAt < REPORT_MS) return;
        await api.updateStatus({ ...node, status });
        this.#reportedAt = now;
        return;
      } catch (error) {
        // Somebody deleted our Node: we are still here.
        if (isReason(error, "NotFound")) await this.#createOrAdopt(facts);
        else if (!isReason(error, "Conflict")) throw error;
        if (attempt >= ATTEMPTS_ON_CONFLICT) throw error;
      }
    }
  }

  async #createOrAdopt(facts: NodeFacts): Promise<void> {
    const o = this.#o.node();
    const api = this.#o.client.resource<Node>(nodes);
    try {
      // With its status: a Node that is there and has no room would send the Pods that wait for it back to wait.
      const status = nodeStatus(o, facts, undefined, this.#o.clock.now());
      this.#uid = (await api.create({ ...newNode(o, facts.info), status })).metadata.uid;
      this.#o.log.info({ node: o.nodeName }, "node registered");
    } catch (error) {
      if (!isReason(error, "AlreadyExists")) throw error;
      const [labels, annotations] = [nodeLabels(o, facts.info), nodeAnnotations(o)];
      await api.patch(o.nodeName, "application/merge-patch+json", { metadata: { labels, annotations } });
      this.#o.log.info({ node: o.nodeName }, "node adopted");
    }
  }

  async #renewLease(intervalMs: number): Promise<void> {
    const { nodeName } = this.#o.node();
    const api = this.#o.client.resource<Lease>(leases, LEASE_NAMESPACE);
    const spec = {
      holderIdentity: nodeName,
      leaseDurationSeconds: Math.ceil((HEARTBEATS_PER_LEASE * intervalMs) / 1000),
      renewTime: rfc3339Micro(this.#o.clock.now()),
    };
    const metadata = { name: nodeName, namespace: LEASE_NAMESPACE, ...this.#ownedByNode(nodeName) };
    const known = this.#lease;
    this.#lease = undefined; // whatever fails: next time as the server has it
    try {
      const { metadata: old, spec: before } = known ?? (await api.get(nodeName));
      this.#lease = await api.update({ metadata: { ...old, ...metadata }, spec: { ...before, ...spec } });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
      this.#lease = await api.create({ metadata, spec });
    }
  }

  /** The Lease goes with the Node. */
  #ownedByNode(name: string): Pick<ObjectMeta, "ownerReferences"> {
    if (this.#uid === undefined) return {};
    return { ownerReferences: [{ apiVersion: "v1", kind: "Node", name, uid: this.#uid }] };
  }
}

/** Ends early on an abort: the loop sees it. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return clock.sleep(ms, signal).catch(() => {});
}
