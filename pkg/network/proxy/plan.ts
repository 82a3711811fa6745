/** From Services and their EndpointSlices to the rules of one node, at the cost of what changed. */
import type { ObjectKey } from "../../api/object.ts";
import type { Chain, NftSet, Ruleset } from "../nft/ruleset.ts";
import type { NodeFacts, ReadonlyService, ReadonlySlice } from "./backends.ts";
import { NO_RULES, type ServiceRules, serviceRules } from "./service-rules.ts";
import { balancerChain, balancerName, declared, frame, type MapName, type SetName } from "./tables.ts";

/** All Services together. Where two claim one front, the first has it: `rules` in the order of seniority. */
export function assemble(rules: Iterable<ServiceRules>, facts: NodeFacts): Ruleset {
  const maps: Partial<Record<MapName, Map<string, string>>> = {};
  const sets: Partial<Record<SetName, Set<string>>> = {};
  const chains: Record<string, Chain> = {};
  const dynamicSets: Record<string, NftSet> = {};
  for (const r of rules) {
    for (const name of Object.keys(r.maps) as MapName[]) {
      const map = (maps[name] ??= new Map());
      for (const [key, value] of r.maps[name] ?? []) if (!map.has(key)) map.set(key, value);
    }
    for (const name of Object.keys(r.sets) as SetName[]) {
      const set = (sets[name] ??= new Set());
      for (const element of r.sets[name] ?? []) set.add(element);
    }
    for (const b of r.balancers) chains[balancerName(b)] ??= balancerChain(b);
    Object.assign(chains, r.chains);
    Object.assign(dynamicSets, r.dynamicSets);
  }
  const all = declared(maps, sets);
  return {
    maps: all.maps,
    sets: { ...all.sets, ...dynamicSets },
    chains: { ...frame(facts.podCidrs).chains, ...chains },
  };
}

/** Remembers what each Service adds, so that a change costs that Service's rules and one look at the others'. */
export class ProxyPlan {
  readonly #rules = new Map<ObjectKey, ServiceRules>();

  /** Returns what the Service added before and adds now. */
  update(
    key: ObjectKey,
    now: { service: ReadonlyService; slices: readonly ReadonlySlice[]; facts: NodeFacts } | undefined,
  ): { readonly before: ServiceRules; readonly after: ServiceRules } {
    const before = this.#rules.get(key) ?? NO_RULES;
    const after = now ? serviceRules(now.service, now.slices, now.facts) : NO_RULES;
    if (after === NO_RULES) this.#rules.delete(key);
    else this.#rules.set(key, after);
    return { before, after };
  }

  ruleset(facts: NodeFacts): Ruleset {
    return assemble(this.#rules.values(), facts);
  }
}
