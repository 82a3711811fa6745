/**
 * The network between the Pods of all nodes, as far as it is this node's: watches the Nodes, and has routes, tunnels and
 * the firewall follow.
 *
 *  L1  What is not ours is not touched; what is ours is found by the cluster's id alone, also after a crash.
 *  L2  What somebody changed is put right at the next look.
 *  L3  How each other node is reached stands on this Node; that it does not answer is an event of it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { Node } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { nameOf } from "../../api/object.ts";
import { condition } from "../../api/pod.ts";
import type { Client } from "../../client/client.ts";
import type { Informer } from "../../informer/informer.ts";
import type { Informers } from "../../informer/informers.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { together } from "../../reconcile/scope.ts";
import { backoffMs } from "../../util/backoff.ts";
import type { Clock, Random } from "../../util/clock.ts";
import { formatCidr, parseIpv4Cidr } from "../../util/ipv4.ts";
import type { Logger } from "../../util/log.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { NetworkPart } from "../node-network.ts";
import type { Ruleset } from "../nft/ruleset.ts";
import { applyLinks, readLinks } from "./kernel.ts";
import { type Cluster, clusterNames, linkCommands, NO_LINKS, planLinks } from "./links.ts";
import { masquerade } from "./masquerade.ts";
import { ADDRESS_ANNOTATION, type Member, memberOf, PEERS_ANNOTATION, type Way, wayTo } from "./peers.ts";
import { dialer, Reachability } from "./reachability.ts";
import { podMtu, VXLAN_OVERHEAD, withPrefix } from "./uplink.ts";

export interface PodNetworkOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly informers: Informers;
  readonly nodeName: string;
  readonly clusterId: string;
  readonly network: { readonly podCidr: string; readonly address: string | undefined };
}

/** What somebody else may have changed is looked at this often. */
const CHECK_MS = 30_000;
const PROBE_MS = 10_000;
const RETRY = { initialMs: 200, maxMs: 10_000, jitter: 0.3 };

/** Without these, packets between Pods of one bridge pass Services by, and between nodes they stop. */
const SWITCHES = ["net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"];

export class PodNetwork implements NetworkPart {
  readonly name = "pods";
  readonly #o: PodNetworkOptions;
  readonly #nodes: Informer<Node>;
  readonly #cluster: Cluster;
  #wake: () => void = () => {};

  constructor(o: PodNetworkOptions) {
    this.#o = o;
    this.#nodes = o.informers.of(nodes);
    const podCidr = parseIpv4Cidr(o.network.podCidr);
    if (!podCidr) throw new Error(`${o.network.podCidr} is no range of addresses`);
    this.#cluster = { ...clusterNames(o.clusterId), podCidr };
  }

  // NetworkPart: what of it is nftables'.

  whenReady(signal: AbortSignal): Promise<void> {
    return this.#nodes.until(() => this.#ownShare !== undefined, signal);
  }

  onChange(changed: () => void): Disposable {
    return this.#nodes.onChange((key, now, old) => {
      if (key === this.#o.nodeName && now?.spec?.podCIDR !== old?.spec?.podCIDR) changed();
    });
  }

  plan(): Partial<Ruleset> {
    const own = this.#ownShare;
    return own === undefined
      ? {}
      : masquerade({ own, cluster: formatCidr(this.#cluster.podCidr), bridge: this.#cluster.bridge });
  }

  get #ownShare(): string | undefined {
    return this.#nodes.get(this.#o.nodeName)?.spec?.podCIDR || undefined;
  }

  /** Until the signal aborts; what was made stays, for the Pods do. */
  async run(signal: AbortSignal): Promise<void> {
    await together(
      signal,
      (s) => this.#follow(s),
      (s) => this.#watchPeers(s),
    );
  }

  /** A node that is not ready is news of its own. */
  async #watchPeers(signal: AbortSignal): Promise<void> {
    const { clock, nodeName } = this.#o;
    using recorder = new EventRecorder({ ...this.#o, component: "pod-network", instance: nodeName });
    const reachability = new Reachability(dialer(clock));
    while (!signal.aborted) {
      await clock.sleep(PROBE_MS, signal).catch(() => {}); // an abort; the loop sees it
      const own = this.#nodes.get(nodeName);
      const self = own && memberOf(own);
      if (signal.aborted || !self) continue;
      const ready = this.#nodes.list().filter((n) => condition(n.status?.conditions, "Ready")?.status === "True");
      const targets = this.#peersOf(self, ready).filter((p) => p.way === "route" || p.way === "vxlan");
      for (const { reachable, message } of await reachability.look(self.ip, targets)) {
        const [type, reason] = reachable
          ? (["Normal", "PeerReachable"] as const)
          : (["Warning", "PeerUnreachable"] as const);
        recorder.event(subjectOf(nodes, own), type, reason, message);
      }
    }
  }

  #peersOf(self: Member, all: readonly DeepReadonly<Node>[]) {
    const isOwn = ownAddresses(self);
    const others = all.flatMap((n) => memberOf(n) ?? []).filter((m) => m.name !== self.name);
    return others.map((m) => ({ ...m, way: wayTo(self, m, isOwn) }));
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#o;
    using _changes = this.#nodes.onChange((_key, now, old) => {
      if (!sameMember(now, old)) this.#wake();
    });
    await this.#nodes.whenSynced(signal).catch(() => {}); // an abort; the loop sees it
    for (let failures = 0; !signal.aborted;) {
      const woken = this.#nextWake(signal);
      try {
        await this.#bringUpToDate(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        log.error({ err: error }, "the way to other nodes' Pods was not made, will retry");
      }
      await woken(failures === 0 ? CHECK_MS : backoffMs(failures, RETRY, random), clock);
    }
  }

  async #bringUpToDate(signal: AbortSignal): Promise<void> {
    for (const file of SWITCHES) switchOn(`/proc/sys/${file}`);
    await this.#tellAddress();
    const own = this.#nodes.get(this.#o.nodeName);
    const self = own && memberOf(own);
    if (!self) return;
    const peers = this.#peersOf(self, this.#nodes.list());
    const uplinkMtu = podMtu(self.ip) + VXLAN_OVERHEAD;
    const wanted = planLinks({ cluster: this.#cluster, self, peers, uplinkMtu });
    const commands = linkCommands(await readLinks(this.#cluster, signal), wanted, this.#cluster);
    await applyLinks(commands, signal);
    const changes = commands.ip.length + commands.bridge.length + commands.iptables.length;
    if (changes > 0) this.#o.log.info({ commands }, "the way to other nodes' Pods is made");
    await this.#tellPeers(peers);
  }

  async #tellAddress(): Promise<void> {
    const { address } = this.#o.network;
    await this.#annotate(ADDRESS_ANNOTATION, address === undefined ? undefined : withPrefix(address));
  }

  async #tellPeers(peers: readonly { name: string; way: Way }[]): Promise<void> {
    const ways = peers.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, way }) => [name, way] as const);
    await this.#annotate(PEERS_ANNOTATION, ways.length === 0 ? undefined : JSON.stringify(Object.fromEntries(ways)));
  }

  async #annotate(key: string, value: string | undefined): Promise<void> {
    const own = this.#nodes.get(this.#o.nodeName);
    if (!own || own.metadata.annotations?.[key] === value) return;
    const body = { metadata: { uid: own.metadata.uid, annotations: { [key]: value ?? null } } };
    await this.#o.client.resource(nodes).patch(nameOf(own), "application/merge-patch+json", body);
  }

  #nextWake(signal: AbortSignal): (ms: number, clock: Clock) => Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    return (ms, clock) => clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => {}); // by either
  }
}

/** Takes away all that there is of the cluster on this machine. Idempotent. */
export async function removeLinks(clusterId: string, signal: AbortSignal): Promise<void> {
  const names = clusterNames(clusterId);
  await applyLinks(linkCommands(await readLinks(names, signal), NO_LINKS, names), signal);
}

function sameMember(a: DeepReadonly<Node> | undefined, b: DeepReadonly<Node> | undefined): boolean {
  const text = (n: typeof a) => JSON.stringify(n && (memberOf(n) ?? null));
  return text(a) === text(b);
}

/** The bridge of a node without Pods is not among what Node lists; two nodes of one machine may share its address, too. */
function ownAddresses(self: Member): (ip: string) => boolean {
  const all = new Set(Object.values(networkInterfaces()).flatMap((list) => list?.map((a) => a.address) ?? []));
  const routes = readText("/proc/net/fib_trie");
  return (ip) => ip === self.ip || all.has(ip) || hasLocalRoute(routes, ip);
}

/** The kernel's own table: an address, and below it that it is this host's. */
function hasLocalRoute(fibTrie: string, ip: string): boolean {
  return new RegExp(`\\|-- ${ip.replaceAll(".", "\\.")}\\n\\s*/32 host LOCAL`).test(fibTrie);
}

function switchOn(file: string): void {
  if (readText(file).trim() !== "0") return;
  try {
    writeFileSync(file, "1");
  } catch {
    // Not this process's to say: the node's condition tells what is missing when it is not root.
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
