import { MAX_SCORE, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";

const ZONE = "topology.kubernetes.io/zone";
/** A zone that fails takes more with it than a node. */
const ZONE_WEIGHT = 2 / 3;

interface State {
  readonly byNode: ReadonlyMap<NodeInfo, number>;
  readonly maxByNode: number;
  readonly byZone: ReadonlyMap<string, number>;
  readonly maxByZone: number;
}

/** Spreads the replicas of one owner over nodes and zones, where the Pod says nothing of its own about it. */
export const spreading: SchedulerPlugin<State> = {
  name: "DefaultSpreading",
  prepare({ group, pod }, snapshot) {
    if (group === "" || pod.spec?.topologySpreadConstraints?.length) return "skip";
    const byNode = snapshot.groupCounts(group);
    if (byNode.size === 0) return "skip";
    const byZone = new Map<string, number>();
    let maxByNode = 0;
    for (const [node, count] of byNode) {
      maxByNode = Math.max(maxByNode, count);
      const zone = node.labels[ZONE];
      if (zone !== undefined) byZone.set(zone, (byZone.get(zone) ?? 0) + count);
    }
    return { byNode, maxByNode, byZone, maxByZone: Math.max(0, ...byZone.values()) };
  },
  score(_, node, s) {
    const onNode = (MAX_SCORE * (s.maxByNode - (s.byNode.get(node) ?? 0))) / s.maxByNode;
    const zone = node.labels[ZONE];
    if (zone === undefined || s.maxByZone === 0) return onNode;
    const inZone = (MAX_SCORE * (s.maxByZone - (s.byZone.get(zone) ?? 0))) / s.maxByZone;
    return onNode * (1 - ZONE_WEIGHT) + inZone * ZONE_WEIGHT;
  },
};
