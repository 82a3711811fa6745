/**
 * Which address each Pod of this node has.
 *
 *  N1  No two Pods that live have the same.
 *  N2  A Pod keeps its address for life, whatever becomes of its sandboxes or of the agent: it stands on the sandbox and
 *      in the Pod's status.
 *  N3  An address that was given back is given out again as late as possible: somebody may still send to it.
 */
import { isTerminal } from "../api/pod.ts";
import { formatIpv4, includes, type Ipv4Cidr, nthAddress, parseIpv4, sizeOf } from "../util/ipv4.ts";
import { RuntimeError, type RuntimePod } from "../runtime/runtime.ts";
import type { Pod } from "./facts.ts";

/** What an agent knows of one Pod. */
export interface Tenant {
  readonly uid: string;
  /** Undefined: the API object is gone, its containers may not be. */
  readonly pod: Pod | undefined;
  readonly actual: RuntimePod | undefined;
}

/** The first host address of the network is the bridge's; the last address is everybody's. */
export const gatewayOf = (subnet: Ipv4Cidr): string => nthAddress(subnet, 1);
const FIRST = 2;

export class PodAddresses {
  readonly #tenants: () => Iterable<Tenant>;
  /** Given out by us, by uid: a sandbox shows its address only some time later. */
  readonly #given = new Map<string, string>();
  #last: string | undefined;

  constructor(tenants: () => Iterable<Tenant>) {
    this.#tenants = tenants;
  }

  /** The Pod's own, or a free one for it. Throws when there is none. */
  assign(uid: string, subnet: Ipv4Cidr): string {
    const tenants = [...this.#tenants()];
    const living = new Set(tenants.filter(holdsAddress).map((t) => t.uid));
    for (const known of this.#given.keys()) if (known !== uid && !living.has(known)) this.#given.delete(known);
    const held = new Map(
      tenants.filter(holdsAddress).flatMap((t): [string, string][] => {
        const address = this.#given.get(t.uid) ?? addressOf(t);
        return address === undefined ? [] : [[t.uid, address]];
      }),
    );
    const own = this.#given.get(uid) ?? held.get(uid);
    const taken = new Set([...held].filter(([other]) => other !== uid).map(([, address]) => address));
    const chosen = pickAddress(subnet, { own, taken, after: this.#last });
    if (chosen === undefined) {
      const range = `${nthAddress(subnet, FIRST)}-${nthAddress(subnet, sizeOf(subnet.prefix) - 2)}`;
      throw new RuntimeError("RuntimeError", `no IP addresses available in range set: ${range}`);
    }
    this.#given.set(uid, chosen);
    if (chosen !== own) this.#last = chosen;
    return chosen;
  }

  /** It could not be used: the next choice is free. */
  refuse(uid: string): void {
    this.#given.delete(uid);
  }
}

/** A Pod that has ended holds its address as long as its sandbox is there. */
function holdsAddress({ pod, actual }: Tenant): boolean {
  return actual?.sandbox !== undefined || (pod !== undefined && !isTerminal(pod));
}

function addressOf({ pod, actual }: Tenant): string | undefined {
  if (pod?.spec?.hostNetwork) return undefined;
  return actual?.sandbox?.ip ?? pod?.status?.podIP;
}

/** Its own while that is of this network and nobody else's; else the next free one after the last choice. Pure. */
export function pickAddress(
  subnet: Ipv4Cidr,
  o: { own?: string | undefined; taken: ReadonlySet<string>; after?: string | undefined },
): string | undefined {
  const count = sizeOf(subnet.prefix) - FIRST - 1;
  const offset = (text: string | undefined) => {
    const address = text === undefined ? undefined : parseIpv4(text);
    return address !== undefined && includes(subnet, address) ? Math.max(-1, address - subnet.base - FIRST) : -1;
  };
  const own = offset(o.own);
  if (o.own !== undefined && own >= 0 && own < count && !o.taken.has(o.own)) return o.own;
  const start = offset(o.after) + 1;
  for (let i = 0; i < count; i++) {
    const address = formatIpv4(subnet.base + FIRST + ((start + i) % count));
    if (!o.taken.has(address)) return address;
  }
  return undefined;
}
