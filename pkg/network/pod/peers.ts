/**
 * How the Pods of one node reach those of another. Pure; both ends find the same.
 *
 *  - host: both nodes are on this machine; their bridges are its own.
 *  - route: they share a link, so each is the other's gateway.
 *  - vxlan: something routes between them that knows nothing of Pods; packets travel in packets.
 *  - none: the other is reached on its own machine only (it was started without --address).
 */
import type { Node } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { type Ipv4Cidr, networkOf, parseIpv4, parseIpv4Cidr } from "../../util/ipv4.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** On a Node: where other machines reach it, with the size of its link's network. `192.168.1.10/24` */
export const ADDRESS_ANNOTATION = "mini-kube.io/address";
/** On a Node: how it reaches the Pods of the others. `{"node-2":"route"}` */
export const PEERS_ANNOTATION = "mini-kube.io/peers";

export type Way = "host" | "route" | "vxlan" | "none";

export interface Member {
  readonly name: string;
  /** InternalIP. */
  readonly ip: string;
  readonly podCidr: Ipv4Cidr;
  /** The network of its link; undefined: it is reached on its own machine only. */
  readonly link: Ipv4Cidr | undefined;
}

/** Undefined while the Node has not got or said all of it. */
export function memberOf(node: DeepReadonly<Node>): Member | undefined {
  const ip = node.status?.addresses?.find((a) => a.type === "InternalIP")?.address;
  const podCidr = parseIpv4Cidr(node.spec?.podCIDR ?? "");
  if (ip === undefined || parseIpv4(ip) === undefined || !podCidr) return undefined;
  return { name: nameOf(node), ip, podCidr, link: linkOf(node.metadata.annotations?.[ADDRESS_ANNOTATION], ip) };
}

/** What is said of another address than the node's is out of date. */
function linkOf(annotation: string | undefined, ip: string): Ipv4Cidr | undefined {
  const [address = "", prefix] = (annotation ?? "").split("/");
  const bits = parseIpv4(address);
  const length = Number(prefix);
  if (address !== ip || bits === undefined || !Number.isInteger(length) || length < 1 || length > 32) return undefined;
  return networkOf(bits, length);
}

/** `isOwn`: whether an address is one of this machine's. */
export function wayTo(self: Member, peer: Member, isOwn: (ip: string) => boolean): Way {
  if (isOwn(peer.ip)) return "host";
  if (!self.link || !peer.link) return "none";
  return self.link.base === peer.link.base && self.link.prefix === peer.link.prefix ? "route" : "vxlan";
}
