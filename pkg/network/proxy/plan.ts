/** From Services and their EndpointSlices to the rules of one node, at the cost of what changed. */
import type { ObjectKey } from "../../api/object.ts";
import type { Chain, NftSet, Ruleset } from "../nft/ruleset.ts";
import type { NodeFacts, ReadonlyService, ReadonlySlice } from "./backends.ts";
import { type Entry, MapClaims, type Seniority, SetClaims } from "./claims.ts";
import { NO_RULES, type ServiceRules, serviceRules } from "./service-rules.ts";
import {
  balancerChain,
  balancerName,
  frame,
  MAP_DECLARATIONS,
  type MapName,
  SET_DECLARATIONS,
  type SetName,
} from "./tables.ts";

/** Remembers what each Service adds. Where two claim one front, the first has it. */
export class ProxyPlan {
  readonly #rules = new Map<ObjectKey, { readonly rules: ServiceRules; readonly seniority: Seniority }>();
  #newest: Seniority = 0;
  readonly #maps = new Map<MapName, MapClaims>();
  readonly #sets = new Map<SetName, SetClaims>();

  constructor() {
    for (const [name] of MAP_DECLARATIONS) this.#maps.set(name, new MapClaims());
    for (const [name] of SET_DECLARATIONS) this.#sets.set(name, new SetClaims());
  }

  /** Returns what the Service added before and adds now. */
  update(
    key: ObjectKey,
    now: { service: ReadonlyService; slices: readonly ReadonlySlice[]; facts: NodeFacts } | undefined,
  ): { readonly before: ServiceRules; readonly after: ServiceRules } {
    const known = this.#rules.get(key);
    const before = known?.rules ?? NO_RULES;
    const after = now ? serviceRules(now.service, now.slices, now.facts) : NO_RULES;
    const seniority = known?.seniority ?? this.#newest++;
    if (after === NO_RULES) this.#rules.delete(key);
    else this.#rules.set(key, { rules: after, seniority });
    for (const [name, claims] of this.#maps) claims.replace(seniority, before.maps[name] ?? [], after.maps[name] ?? []);
    for (const [name, claims] of this.#sets)
      claims.replace(seniority, keysOf(before.sets[name]), keysOf(after.sets[name]));
    return { before, after };
  }

  ruleset({ podCidrs }: NodeFacts): Ruleset {
    const chains: Record<string, Chain> = { ...frame(podCidrs).chains };
    const dynamicSets: Record<string, NftSet> = {};
    for (const { rules: r } of this.#rules.values()) {
      for (const b of r.balancers) chains[balancerName(b)] ??= balancerChain(b);
      Object.assign(chains, r.chains);
      Object.assign(dynamicSets, r.dynamicSets);
    }
    const maps = MAP_DECLARATIONS.map(
      ([name, o]) => [name, { ...o, ...this.#of(this.#maps, name).version() }] as const,
    );
    const sets = SET_DECLARATIONS.map(
      ([name, o]) => [name, { ...o, ...this.#of(this.#sets, name).version() }] as const,
    );
    return { chains, maps: Object.fromEntries(maps), sets: { ...Object.fromEntries(sets), ...dynamicSets } };
  }

  #of<K, V>(all: ReadonlyMap<K, V>, name: K): V {
    const found = all.get(name);
    if (found === undefined) throw new Error(`not declared: ${String(name)}`);
    return found;
  }
}

const keysOf = (keys: readonly string[] = []): readonly Entry[] => keys.map((key) => [key, ""]);
