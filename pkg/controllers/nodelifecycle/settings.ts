/** How soon a node counts as lost, and how fast its Pods may be taken from it. */
export interface NodeLifecycleSettings {
  /** A node from which nothing was heard for this long is unknown. At least two of the agent's heartbeats. */
  readonly graceMs: number;
  /** The same for a node that was never heard of. */
  readonly startupGraceMs: number;
  /** Nodes per second whose Pods may begin to be evicted, in each zone. */
  readonly evictionRate: number;
  /** The same in a large zone of which most nodes are lost; a small one evicts nobody then. */
  readonly secondaryEvictionRate: number;
  /** Of its nodes; from here on a zone counts as disrupted, if it is more than two nodes. */
  readonly unhealthyShare: number;
  /** More nodes than this make a zone large. */
  readonly largeZone: number;
}

/** Kubernetes has 50 s, 60 s, 0.1 and 0.01 per second, 55 % and 50 nodes: its clusters have slower heartbeats. */
export const NODE_LIFECYCLE: NodeLifecycleSettings = {
  graceMs: 6_000,
  startupGraceMs: 60_000,
  evictionRate: 1,
  secondaryEvictionRate: 0.1,
  unhealthyShare: 0.55,
  largeZone: 50,
};
