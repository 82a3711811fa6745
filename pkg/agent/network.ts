/**
 * The network of this node's Pods: waits for the node's share of the cluster's addresses (`spec.podCIDR`), has the runtime
 * make the network, and gives each Pod its address in it.
 *
 *  W1  No sandbox is made before the network is there; a Pod that waits for it says why.
 *  W2  What somebody takes away is made again.
 */
import { createServer } from "node:net";
import type { Node, NodeCondition } from "../api/generated/types.ts";
import { nodes } from "../api/kinds/core/node.ts";
import type { Client } from "../client/client.ts";
import { Informer } from "../informer/informer.ts";
import { type ContainerRuntime, RuntimeError } from "../runtime/runtime.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Clock, Random } from "../util/clock.ts";
import { formatCidr, type Ipv4Cidr, parseIpv4Cidr } from "../util/ipv4.ts";
import type { Logger } from "../util/log.ts";
import type { KeyPair } from "../util/pki.ts";
import type { DeepReadonly } from "../util/types.ts";
import { gatewayOf, PodAddresses, type Tenant } from "./addresses.ts";
import type { Pod } from "./facts.ts";

export interface NetworkOptions {
  /** Of the network and its bridge: at most 15 characters, unique on the machine. */
  readonly name: string;
  readonly mtu: number;
  /** The runtime hides Pods behind the node's address: where nobody else does. */
  readonly masquerade: boolean;
  /** What the network lacks on this machine, in a sentence with its cure; undefined: nothing. */
  readonly lacks?: string | undefined;
  /** The node is reached at the address of its bridge, as far as this machine has that. Otherwise at the agent's own. */
  readonly useGateway: boolean;
  /** The bridge has this address now. With the pair that the agent is to serve there. */
  readonly onGateway?: (address: string) => Promise<KeyPair>;
}

export interface NodeNetworkOptions extends NetworkOptions {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly tenants: () => Iterable<Tenant>;
  /** Tells that {@link NodeNetwork.condition} or {@link NodeNetwork.address} is another now. */
  readonly onChange: () => void;
  /** The agent is to serve at this address, too. */
  readonly serveAt: (address: string, pair: KeyPair) => Promise<void>;
}

/** So long a Pod waits before it says that it does; the first of a new cluster need not. */
const PATIENCE_MS = 3_000;
/** Somebody may have taken it away (`docker network prune`). */
const CHECK_MS = 60_000;
const RETRY = { initialMs: 250, maxMs: 10_000, jitter: 0.3 };

type Verdict = Pick<NodeCondition, "status" | "reason" | "message">;

export class NodeNetwork {
  readonly #o: NodeNetworkOptions;
  readonly #addresses: PodAddresses;
  readonly #node: Informer<Node>;
  readonly #startedAt: number;
  /** What Pods may be given; undefined while the network is not there. */
  #subnet: Ipv4Cidr | undefined;
  #served: string | undefined;
  #trouble = "the node has not been given its addresses (spec.podCIDR) yet";
  #waiters = new Set<() => void>();
  #wake: () => void = () => {};

  constructor(o: NodeNetworkOptions) {
    this.#o = o;
    this.#addresses = new PodAddresses(o.tenants);
    this.#startedAt = o.clock.now();
    const { client, clock, log, random, nodeName } = o;
    const listOptions = { fieldSelector: `metadata.name=${nodeName}` };
    this.#node = new Informer({ resource: client.resource(nodes), clock, log, random, listOptions });
  }

  /** The address of the bridge, as soon as this machine has it and the node is reached there. */
  get address(): string | undefined {
    return this.#served;
  }

  /** `10.244.1.0/24`, once it is in use: a Node that is made anew asks for it. */
  get podCIDR(): string | undefined {
    return this.#subnet && formatCidr(this.#subnet);
  }

  /** NetworkUnavailable. Undefined in the first moments: that it comes late is news, that it comes is not. */
  condition(): Verdict | undefined {
    const { name, lacks, clock } = this.#o;
    if (this.#subnet) {
      const message = `Pods have addresses of ${formatCidr(this.#subnet)} on the bridge ${name}`;
      return lacks === undefined
        ? { status: "False", reason: "NetworkReady", message }
        : { status: "False", reason: "NetworkLimited", message: `${message}; ${lacks}` };
    }
    if (clock.now() - this.#startedAt < PATIENCE_MS) return undefined;
    return { status: "True", reason: "NetworkNotReady", message: this.#trouble };
  }

  /** The Pod's address; waits a moment for the network. Rejects with why there is none. */
  async addressFor(pod: Pod, signal: AbortSignal): Promise<string | undefined> {
    if (pod.spec?.hostNetwork) return undefined;
    await this.whenSettled(signal);
    if (!this.#subnet) throw new RuntimeError("RuntimeError", `network is not ready: ${this.#trouble}`);
    return this.#addresses.assign(pod.metadata.uid ?? "", this.#subnet);
  }

  /** A sandbox with the address could not be started: perhaps for the address, perhaps the network is gone. */
  refused(uid: string): void {
    this.#addresses.refuse(uid);
    this.#wake();
  }

  /** Runs until the signal aborts; the network stays. */
  async run(signal: AbortSignal): Promise<void> {
    using _changes = this.#node.onChange((_key, now, old) => {
      if (now && now.spec?.podCIDR !== old?.spec?.podCIDR) this.#wake();
    });
    const watching = this.#node.run(signal);
    for (let failures = 0; !signal.aborted;) {
      const woken = this.#nextWake(signal);
      try {
        await this.#ensure(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        failures++;
        this.#broken((error as Error).message);
        this.#o.log.warn({ err: error }, "the network of the Pods is not there, will retry");
      }
      await woken(failures === 0 ? CHECK_MS : backoffMs(failures, RETRY, this.#o.random));
    }
    await watching;
  }

  async #ensure(signal: AbortSignal): Promise<void> {
    const wanted = subnetOf(this.#node.list()[0]);
    if (!wanted) return;
    const { name, mtu, masquerade, useGateway } = this.#o;
    const gateway = gatewayOf(wanted);
    const before = { subnet: this.podCIDR, served: this.#served };
    const network = { name, subnet: formatCidr(wanted), gateway, mtu, masquerade };
    await this.#o.runtime.ensureNetwork(network, signal);
    const here = useGateway && (await hasAddress(gateway));
    // Before the first Pod is begun: it is told its host's address.
    this.#served = here ? gateway : undefined;
    this.#subnet = wanted;
    for (const tell of this.#waiters) tell();
    if (before.subnet === network.subnet && before.served === this.#served) return;
    if (this.#served !== undefined && before.served !== this.#served) await this.#serve(this.#served);
    this.#o.log.info({ network }, "the network of the Pods is ready");
    this.#o.onChange();
  }

  async #serve(gateway: string): Promise<void> {
    const pair = await this.#o.onGateway?.(gateway);
    if (pair) await this.#o.serveAt(gateway, pair);
  }

  #broken(message: string): void {
    this.#trouble = message;
    const news = this.#subnet !== undefined;
    this.#subnet = undefined;
    if (news || this.#o.clock.now() - this.#startedAt >= PATIENCE_MS) this.#o.onChange();
  }

  /** The network is there, or late. Rejects only by the signal. */
  async whenSettled(signal: AbortSignal): Promise<void> {
    if (this.#subnet) return;
    const there = new AbortController();
    const tell = () => there.abort();
    this.#waiters.add(tell);
    await this.#o.clock.sleep(PATIENCE_MS, AbortSignal.any([signal, there.signal])).catch(() => {}); // by either
    this.#waiters.delete(tell);
    signal.throwIfAborted();
  }

  /** Listens from now on; the wait itself comes later and ends at once if anything was told meanwhile. */
  #nextWake(signal: AbortSignal): (ms: number) => Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    return (ms) => this.#o.clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => {}); // by either
  }
}

function subnetOf(node: DeepReadonly<Node> | undefined): Ipv4Cidr | undefined {
  return parseIpv4Cidr(node?.spec?.podCIDR ?? "");
}

/** Asked by use: a bridge without Pods is not among the interfaces that Node lists. */
function hasAddress(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port: 0, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
