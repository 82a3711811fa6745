/** What leaves the cluster has the node's address: nobody outside knows those of Pods. Pure. */
import type { Ruleset } from "../nft/ruleset.ts";

export interface MasqueradeInput {
  /** The node's share: each node hides its own Pods. */
  readonly own: string;
  readonly cluster: string;
  readonly bridge: string;
}

/** Within the cluster every Pod is seen as who it is. */
export function masquerade({ own, cluster, bridge }: MasqueradeInput): Partial<Ruleset> {
  return {
    chains: {
      "pod-masquerade": {
        hook: { type: "nat", at: "postrouting", priority: "srcnat" },
        rules: [`ip saddr ${own} ip daddr != ${cluster} ip daddr != 224.0.0.0/4 oifname != "${bridge}" masquerade`],
      },
    },
  };
}
