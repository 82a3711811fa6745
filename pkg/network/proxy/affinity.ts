/**
 * A client that was sent to an endpoint comes there again, for a while: `sessionAffinity: ClientIP`. The clients of an
 * endpoint are a set to which packets add themselves; it lives as long as the endpoint is one of the Service's, whatever
 * becomes of the others. Pure.
 */
import type { Chain, NftSet } from "../nft/ruleset.ts";
import type { Backend } from "./backends.ts";
import { type Protocol, type View, VIEWS } from "./tables.ts";

export interface AffinityRules {
  /** The chain where packets to the front begin. */
  readonly entry: string;
  readonly chains: Readonly<Record<string, Chain>>;
  readonly sets: Readonly<Record<string, NftSet>>;
}

export function affinityRules(o: {
  /** Of the Service's port: `default/web/tcp/80`. */
  readonly name: string;
  readonly view: View;
  readonly backends: readonly Backend[];
  readonly protocol: Protocol;
  readonly seconds: number;
}): AffinityRules {
  const entry = `${o.view}-affinity/${o.name}`;
  const own = o.backends.map((b) => ({ ...b, name: `affinity/${o.name}/${b.address}/${b.port}` }));
  const verdicts = own.map(({ name }, i) => `${i} : goto ${name}`).join(", ");
  const rules = [
    ...VIEWS[o.view].masquerade,
    ...own.map(({ name }) => `ip saddr @${name} goto ${name}`),
    `numgen random mod ${own.length} vmap { ${verdicts} }`,
    // The verdicts above go with the rule, also for a packet that is on its way through it.
    ...own.slice(0, 1).map(({ name }) => `goto ${name}`),
  ];
  // All views of a Service share them: a client is a client, through whichever door it comes.
  const set: NftSet = {
    of: "type ipv4_addr",
    options: `flags dynamic,timeout; timeout ${o.seconds}s; size 65535`,
    elements: new Set(),
  };
  const chains = own.map(({ name, address, port }) => {
    const sent = [`update @${name} { ip saddr }`, `meta l4proto ${o.protocol} dnat ip to ${address}:${port}`];
    return [name, { rules: sent }] as const;
  });
  return {
    entry,
    chains: { [entry]: { rules }, ...Object.fromEntries(chains) },
    sets: Object.fromEntries(own.map(({ name }) => [name, set])),
  };
}
