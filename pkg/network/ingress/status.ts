/** Where an Ingress is served, as its status says. Pure. */
import type { Ingress, IngressLoadBalancerIngress } from "../../api/generated/types.ts";
import type { DeepReadonly } from "../../util/types.ts";

type Point = IngressLoadBalancerIngress;

/** Of one node's proxy. */
export interface Served {
  readonly address: string;
  /** Other than 80 and 443: who looks must be told. */
  readonly ports: readonly number[];
}

const USUAL = new Set([80, 443]);

/**
 * Each node's proxy writes its own address and leaves those of other nodes that there are. `own` undefined: it is not
 * served here (any more).
 */
export function pointsOf(
  { status }: DeepReadonly<Ingress>,
  o: { readonly own: Served | undefined; readonly address: string; readonly isNode: (address: string) => boolean },
): Point[] {
  const now = (status?.loadBalancer?.ingress ?? []) as readonly Point[];
  const others = now.filter((p) => p.ip !== o.address && p.ip !== undefined && o.isNode(p.ip));
  if (!o.own) return others;
  const { address, ports } = o.own;
  const unusual = ports.some((p) => !USUAL.has(p));
  const own: Point = { ip: address, ...(unusual && { ports: ports.map((port) => ({ port, protocol: "TCP" })) }) };
  const at = now.findIndex((p) => p.ip === address);
  return at < 0 ? [...others, own] : others.toSpliced(Math.min(at, others.length), 0, own);
}
