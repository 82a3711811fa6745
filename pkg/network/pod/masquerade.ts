/**
 * What leaves the cluster has the node's address: nobody outside knows those of Pods. Pure.
 *
 * And what the kernel cannot put down to a connection (a late repetition, say) goes no further: its address would not be
 * turned back into the Service's, and whoever gets it would reset a connection that is well. It is sent again anyway.
 */
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
      "pod-invalid": {
        hook: { type: "filter", at: "prerouting", priority: "mangle" },
        rules: [`iifname "${bridge}" meta l4proto tcp ct state invalid drop`],
      },
      "pod-masquerade": {
        hook: { type: "nat", at: "postrouting", priority: "srcnat" },
        rules: [`ip saddr ${own} ip daddr != ${cluster} ip daddr != 224.0.0.0/4 oifname != "${bridge}" masquerade`],
      },
    },
  };
}
