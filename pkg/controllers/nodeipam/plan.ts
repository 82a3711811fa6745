/** Which addresses each node's Pods have: a share of the cluster's range, as long as the Node exists. Pure. */
import type { Node } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { formatCidr, type Ipv4Cidr, overlaps, parseIpv4Cidr, sizeOf } from "../../util/ipv4.ts";
import type { DeepReadonly } from "../../util/types.ts";

type ReadonlyNode = DeepReadonly<Node>;

export interface NodeRanges {
  readonly cluster: Ipv4Cidr;
  /** The size of a share. */
  readonly prefix: number;
}

export interface CidrPlan {
  readonly assign: readonly { readonly node: ReadonlyNode; readonly cidr: string }[];
  /** There is nothing left for them. */
  readonly exhausted: readonly ReadonlyNode[];
}

/**
 * `given`: by Node's name, what was written and does not show yet. No two Nodes get shares that overlap; the older Node is
 * served first.
 */
export function planCidrs(
  nodes: readonly ReadonlyNode[],
  ranges: NodeRanges,
  given: ReadonlyMap<string, string> = new Map(),
): CidrPlan {
  const shareOf = (node: ReadonlyNode) => node.spec?.podCIDR || given.get(nameOf(node));
  const taken = nodes.flatMap((node) => parseIpv4Cidr(shareOf(node) ?? "") ?? []);
  const used = new Set(taken.filter((c) => c.prefix === ranges.prefix).map((c) => c.base));
  const odd = taken.filter((c) => c.prefix !== ranges.prefix);
  const step = sizeOf(ranges.prefix);
  const end = ranges.cluster.base + sizeOf(ranges.cluster.prefix);
  let next = ranges.cluster.base;
  const take = (): string | undefined => {
    for (; next < end; next += step) {
      const share = { base: next, prefix: ranges.prefix };
      if (used.has(next) || odd.some((c) => overlaps(c, share))) continue;
      next += step;
      return formatCidr(share);
    }
    return undefined;
  };
  const plan: { assign: { node: ReadonlyNode; cidr: string }[]; exhausted: ReadonlyNode[] } = {
    assign: [],
    exhausted: [],
  };
  const waiting = nodes.filter((node) => !shareOf(node) && node.metadata.deletionTimestamp === undefined);
  for (const node of waiting.toSorted((a, b) => (age(a) < age(b) ? -1 : 1))) {
    const cidr = take();
    if (cidr === undefined) plan.exhausted.push(node);
    else plan.assign.push({ node, cidr });
  }
  return plan;
}

const age = (node: ReadonlyNode) => `${node.metadata.creationTimestamp ?? ""} ${nameOf(node)}`;
