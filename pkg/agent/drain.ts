/**
 * When no traffic comes to a Pod that is being deleted: as soon as the EndpointSlices no longer offer it, and the proxy of
 * every node says that it knows. Only then are its processes told to end, so that a roll-out fails no request.
 *
 *  Z1  A Pod that no slice offers waits for nothing.
 *  Z2  Nobody waits longer than half the grace period, nor than {@link LONGEST_MS}: a node that is silent holds up no Pod.
 *  Z3  A node that is not Ready, or that has no proxy, is not waited for: what it would send comes from nowhere.
 */
import type { EndpointSlice, Lease, Node } from "../api/generated/types.ts";
import { leases } from "../api/kinds/coordination/lease.ts";
import { nodes } from "../api/kinds/core/node.ts";
import { endpointSlices } from "../api/kinds/discovery/endpointslice.ts";
import { condition } from "../api/pod.ts";
import { APPLIED_REVISION, PROXY_LABEL, PROXY_LABELS, PROXY_NAMESPACE, proxyLeaseName } from "../api/traffic.ts";
import type { Client } from "../client/client.ts";
import { Informer } from "../informer/informer.ts";
import type { Informers } from "../informer/informers.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Pod } from "./facts.ts";

export const LONGEST_MS = 5_000;
/** Connections that were on their way when the last proxy spoke are accepted meanwhile. */
const SETTLE_MS = 100;
const DEFAULT_GRACE_SECONDS = 30;

/** `offered`: some slice still gives it out. `told`: none does, but not every proxy knows. `out`: nothing comes any more. */
export type Traffic = "offered" | "told" | "out";

export function trafficOf(
  podUid: string,
  slices: readonly DeepReadonly<EndpointSlice>[],
  all: readonly DeepReadonly<Node>[],
  appliedBy: (node: string) => bigint | undefined,
): Traffic {
  const own = slices.flatMap((slice) =>
    (slice.endpoints ?? []).filter((e) => e.targetRef?.uid === podUid).map((endpoint) => ({ slice, endpoint })),
  );
  if (own.some(({ endpoint: { conditions: c } }) => c?.ready !== false && !c?.terminating)) return "offered";
  const needed = own.map(({ slice }) => BigInt(slice.metadata.resourceVersion ?? "0"));
  const behind = all.some((node) => {
    const applied = appliedBy(node.metadata.name ?? "");
    const alive = condition(node.status?.conditions, "Ready")?.status === "True";
    return alive && applied !== undefined && needed.some((revision) => revision > applied);
  });
  return behind ? "told" : "out";
}

export interface DrainOptions {
  readonly client: Client;
  /** Somebody else runs them. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class Drain {
  readonly #o: DrainOptions;
  readonly #slices: Informer<EndpointSlice>;
  readonly #nodes: Informer<Node>;
  readonly #proxies: Informer<Lease>;

  constructor(o: DrainOptions) {
    this.#o = o;
    this.#slices = o.informers.of(endpointSlices);
    this.#nodes = o.informers.of(nodes);
    const listOptions = { labelSelector: `${PROXY_LABEL}=${PROXY_LABELS[PROXY_LABEL]}` };
    this.#proxies = new Informer({ ...o, resource: o.client.resource(leases, PROXY_NAMESPACE), listOptions });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#proxies.run(signal);
  }

  /** Resolves when nothing comes to the Pod any more, or when it has waited long enough (Z2); never rejects. */
  async drained(pod: Pod, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#o;
    const slices = () => this.#slices.byIndex("namespace", pod.metadata.namespace ?? "");
    const traffic = () =>
      trafficOf(pod.metadata.uid ?? "", slices(), this.#nodes.list(), (node) => this.#appliedBy(node));
    if (!concerns(pod.metadata.uid, slices())) return;
    const grace = (pod.metadata.deletionGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
    const limit = new AbortController();
    using _timer = clock.after(Math.min(grace / 2, LONGEST_MS), () => limit.abort());
    const both = AbortSignal.any([signal, limit.signal]);
    try {
      await this.#slices.until(() => traffic() !== "offered", both);
      await this.#proxies.until(() => traffic() === "out", both);
      await clock.sleep(SETTLE_MS, both);
    } catch {
      if (!signal.aborted)
        log.warn({ pod: pod.metadata.name, traffic: traffic() }, "a Pod ends before its traffic has");
    }
  }

  #appliedBy(node: string): bigint | undefined {
    const lease = this.#proxies.get(`${PROXY_NAMESPACE}/${proxyLeaseName(node)}`);
    const applied = lease?.metadata.annotations?.[APPLIED_REVISION];
    return applied === undefined ? undefined : BigInt(applied);
  }
}

const concerns = (uid: string | undefined, slices: readonly DeepReadonly<EndpointSlice>[]) =>
  slices.some((s) => s.endpoints?.some((e) => e.targetRef?.uid === uid));
