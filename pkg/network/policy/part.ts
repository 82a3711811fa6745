/** Keeps the policies of this node's Pods in the node's table. */
import { readFile } from "node:fs/promises";
import type { NetworkPolicy, Pod } from "../../api/generated/types.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { networkPolicies } from "../../api/kinds/networking/networkpolicy.ts";
import { type ApiObject, keyOf, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { deepEqual } from "../../api/equal.ts";
import type { Client } from "../../client/client.ts";
import type { Informer } from "../../informer/informer.ts";
import type { Informers } from "../../informer/informers.ts";
import { onAbort } from "../../reconcile/controller.ts";
import type { Clock } from "../../util/clock.ts";
import { parseIpv4 } from "../../util/ipv4.ts";
import { settledWithin } from "../../util/limit.ts";
import type { Logger } from "../../util/log.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { Ruleset } from "../nft/ruleset.ts";
import type { NetworkPart } from "../node-network.ts";
import { planPolicies } from "./plan.ts";
import { isolates, type Labels, type PolicyPod } from "./selection.ts";

type ReadonlyPod = DeepReadonly<Pod>;

export interface PolicyPartOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is no Pod, but is spoken of as one: the node's own DNS. */
  readonly standIns?: () => readonly PolicyPod[];
}

/** A Pod waits at most so long for its policies, then it is tried again. */
const GUARD_MS = 10_000;
const BRIDGE_SEEN = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/** A Pod that is about to be started, with an address that its status does not show yet. */
interface Expected {
  readonly pod: ReadonlyPod;
  readonly ip: string;
}

/**
 *  G1  A Pod that {@link PolicyPart.guard} was called for is never open where a policy closes it that was there before:
 *      neither before its address is in its status, nor after. While the API is away, the policies known here count.
 */
export class PolicyPart implements NetworkPart {
  readonly name = "network policies";
  readonly #o: PolicyPartOptions;
  readonly #policies: Informer<NetworkPolicy>;
  readonly #pods: Informer<Pod>;
  readonly #namespaces: Informer<ApiObject>;
  /** By uid. */
  readonly #expected = new Map<string, Expected>();
  /** Changes are numbered; so is known which of them are in the kernel. */
  #changes = 0;
  #planned = 0;
  #applied = 0;
  readonly #waiting = new Set<() => void>();
  #tell: () => void = () => {};

  constructor(o: PolicyPartOptions) {
    this.#o = o;
    this.#policies = o.informers.of(networkPolicies);
    this.#pods = o.informers.of(pods);
    this.#namespaces = o.informers.of(namespaces);
  }

  async whenReady(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#policies, this.#pods, this.#namespaces].map((i) => i.whenSynced(signal)));
    const seen = await readFile(BRIDGE_SEEN, "utf8").catch(() => "0");
    if (seen.trim() === "1") return;
    const cure = "load br_netfilter and set net.bridge.bridge-nf-call-iptables=1";
    this.#o.log.warn({ cure }, "network policies do not see what Pods of this node send each other");
  }

  onChange(changed: () => void): Disposable {
    this.#tell = () => {
      this.#changes++;
      changed();
    };
    const watches = [
      this.#policies.onChange(() => this.#tell()),
      this.#namespaces.onChange((_key, now, old) => {
        if (!deepEqual(now?.metadata.labels, old?.metadata.labels)) this.#tellOfPods();
      }),
      this.#pods.onChange((_key, now, old) => {
        if (!now && old) this.#expected.delete(uidOf(old));
        if (!deepEqual(now && this.#policyPod(now), old && this.#policyPod(old))) this.#tellOfPods();
      }),
    ];
    return { [Symbol.dispose]: () => watches.forEach((w) => w[Symbol.dispose]()) };
  }

  plan(): Partial<Ruleset> {
    this.#planned = this.#changes;
    const policies = this.#policies.list().toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    if (policies.length === 0) return {};
    const labels = this.#namespaces.list().map((n) => [nameOf(n), n.metadata.labels ?? {}] as const);
    const all = [...this.#podsNow(), ...(this.#o.standIns?.() ?? [])];
    return planPolicies({ policies, pods: all, namespaces: new Map<string, Labels>(labels) });
  }

  applied(): void {
    this.#applied = this.#planned;
    for (const look of this.#waiting) look();
  }

  /** Resolves when the Pod may be started with this address: what isolates it is in the kernel. */
  async guard(pod: ReadonlyPod, ip: string, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#policies, this.#namespaces].map((i) => i.whenSynced(signal)));
    await this.#upToDate(namespaceOf(pod), signal);
    if (this.#expected.get(uidOf(pod))?.ip !== ip) {
      this.#expected.set(uidOf(pod), { pod, ip });
      this.#tellOfPods();
    }
    const subject = { namespace: namespaceOf(pod), labels: pod.metadata.labels ?? {} };
    if (!this.#policies.byIndex("namespace", subject.namespace).some((p) => isolates(p, subject))) return;
    await this.#untilApplied(this.#changes, signal);
  }

  /** A policy and its Pod come by two watches: the Pod may be here first. */
  async #upToDate(namespace: string, signal: AbortSignal): Promise<void> {
    try {
      const seen = async () => {
        const { items } = await this.#o.client.resource(networkPolicies, namespace).list({}, signal);
        await Promise.all(items.map((policy) => this.#policies.whenShows(policy, signal)));
      };
      await settledWithin(this.#o.clock, GUARD_MS, "network policies", seen());
    } catch (error) {
      signal.throwIfAborted();
      this.#o.log.warn({ err: error, namespace }, "a Pod is guarded by the policies known here, not by newer ones");
    }
  }

  async #untilApplied(change: number, signal: AbortSignal): Promise<void> {
    if (this.#applied >= change) return;
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#waiting.delete(look);
        late[Symbol.dispose]();
        aborted[Symbol.dispose]();
        settle();
      };
      const look = () => {
        if (this.#applied >= change) end(resolve);
      };
      const late = this.#o.clock.after(GUARD_MS, () =>
        end(() => reject(new Error("the network policies of the Pod are not in force yet"))),
      );
      this.#waiting.add(look);
      const aborted = onAbort(signal, () => queueMicrotask(() => end(() => reject(signal.reason as Error))));
    });
  }

  /** Without policies nothing depends on them. */
  #tellOfPods(): void {
    if (this.#policies.size > 0) this.#tell();
  }

  #podsNow(): readonly PolicyPod[] {
    const shown = this.#pods.list().flatMap((pod) => this.#policyPod(pod) ?? []);
    const unseen = [...this.#expected].flatMap(([uid, { pod }]) => {
      const now = this.#pods.get(keyOf(pod));
      return now && uidOf(now) === uid ? [] : (this.#policyPod(pod) ?? []);
    });
    return [...shown, ...unseen];
  }

  #policyPod(pod: ReadonlyPod): PolicyPod | undefined {
    const { spec, status, metadata } = pod;
    if (spec?.hostNetwork || status?.phase === "Succeeded" || status?.phase === "Failed") return undefined;
    // What the agent gave counts: the status follows.
    const ip = this.#expected.get(uidOf(pod))?.ip ?? addressesOf(pod)[0];
    if (ip === undefined) return undefined;
    return {
      namespace: namespaceOf(pod),
      labels: metadata.labels ?? {},
      ip,
      ports: namedPorts(pod),
      local: spec?.nodeName === this.#o.nodeName,
    };
  }
}

const addressesOf = ({ status }: ReadonlyPod) =>
  (status?.podIPs ?? []).flatMap(({ ip }) => (ip !== undefined && parseIpv4(ip) !== undefined ? [ip] : []));

const namedPorts = ({ spec }: ReadonlyPod): PolicyPod["ports"] =>
  [...(spec?.containers ?? []), ...(spec?.initContainers ?? []).filter((c) => c.restartPolicy === "Always")]
    .flatMap((c) => c.ports ?? [])
    .flatMap((p) => (p.name ? [{ name: p.name, protocol: p.protocol ?? "TCP", port: p.containerPort }] : []));
