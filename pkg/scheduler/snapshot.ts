import type { NodeInfo } from "./node-info.ts";
import type { Volumes } from "./volume-cache.ts";

/**
 * The cluster as one scheduling cycle sees it.
 *
 * A cycle never awaits, so nothing can change under it: the cache itself is the snapshot, at no cost. Whoever wants to
 * ask "what if" fills a cache of its own.
 */
export interface Snapshot {
  readonly nodes: readonly NodeInfo[];
  node(name: string): NodeInfo | undefined;
  /** Nodes with at least one Pod that has an affinity or anti-affinity term. */
  readonly nodesWithAffinity: ReadonlySet<NodeInfo>;
  /** How many Pods of a group (PodInfo.group) stand on each node that has any. */
  groupCounts(group: string): ReadonlyMap<NodeInfo, number>;
  /** On how many nodes an image (canonical name) is present. */
  imageNodes(image: string): number;
  readonly volumes: Volumes;
  namespaceLabels(namespace: string): Readonly<Record<string, string>> | undefined;
}
