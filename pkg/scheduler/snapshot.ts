import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";
import type { Selection, StandingTerm, Tally } from "./tallies.ts";
import type { Volumes } from "./volume-cache.ts";

/**
 * The cluster as one scheduling cycle sees it.
 *
 * A cycle never awaits, so nothing can change under it: the cache itself is the snapshot, at no cost. "What if" is asked
 * by changing it and changing it back (SchedulerCache.whatIf).
 */
export interface Snapshot {
  readonly nodes: readonly NodeInfo[];
  node(name: string): NodeInfo | undefined;
  /** How many nodes have a taint or are cordoned. */
  readonly tainted: number;
  /** How many nodes there are in each domain: by value of the node label `topologyKey`. */
  domains(topologyKey: string): ReadonlyMap<string, number>;
  /** Where such Pods stand. */
  count(selection: Selection): Tally;
  /** Affinity terms of standing Pods that speak of this one. */
  termsAbout(pod: PodInfo): readonly StandingTerm[];
  /** On how many nodes an image (canonical name) is present. */
  imageNodes(image: string): number;
  readonly volumes: Volumes;
  namespaceLabels(namespace: string): Readonly<Record<string, string>> | undefined;
}
