import { use, type ProfilePlugin } from "./framework.ts";
import { balancedAllocation } from "./plugins/balanced-allocation.ts";
import { imageLocality } from "./plugins/image-locality.ts";
import { leastAllocated } from "./plugins/least-allocated.ts";
import { nodeAffinity } from "./plugins/node-affinity.ts";
import { nodeName } from "./plugins/node-name.ts";
import { nodeUnschedulable } from "./plugins/node-unschedulable.ts";
import { podAffinity } from "./plugins/pod-affinity.ts";
import { nodePorts } from "./plugins/ports.ts";
import { resourcesFit } from "./plugins/resources-fit.ts";
import { taintToleration } from "./plugins/taint-toleration.ts";
import { topologySpread } from "./plugins/topology-spread.ts";
import { volumeBinding } from "./plugins/volume-binding.ts";
import { volumeRestrictions } from "./plugins/volume-restrictions.ts";

/** kube-scheduler's default order (the first to refuse speaks) and weights. */
export const defaultProfile: readonly ProfilePlugin[] = [
  use(nodeUnschedulable),
  use(nodeName),
  use(taintToleration, 3),
  use(nodeAffinity, 2),
  use(nodePorts),
  use(resourcesFit),
  use(volumeRestrictions),
  use(volumeBinding),
  use(topologySpread, 2),
  use(podAffinity, 2),
  use(leastAllocated),
  use(balancedAllocation),
  use(imageLocality),
];
