/** How fast nodes may be emptied: when most of them are lost at once, it is rather we who are. */
import type { Node } from "../../api/generated/types.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { NodeLifecycleSettings } from "./settings.ts";

export type ZoneState = "Normal" | "PartialDisruption" | "FullDisruption";

export interface ZoneCounts {
  readonly ready: number;
  readonly unready: number;
}

const ZONE = "topology.kubernetes.io/zone";
const REGION = "topology.kubernetes.io/region";
/** This few lost nodes are no disruption, whatever share they are. */
const FEW = 2;

/** Nodes without the labels are one zone together. */
export function zoneOf({ metadata }: DeepReadonly<Node>): string {
  return `${metadata.labels?.[REGION] ?? ""}/${metadata.labels?.[ZONE] ?? ""}`;
}

export function zoneState({ ready, unready }: ZoneCounts, unhealthyShare: number): ZoneState {
  if (ready === 0 && unready > 0) return "FullDisruption";
  const most = unready > FEW && unready / (ready + unready) >= unhealthyShare;
  return most ? "PartialDisruption" : "Normal";
}

/**
 * Nodes per second that may begin to be emptied, by zone. A zone that is lost as a whole is emptied like any other, for
 * there are others to go to; when no zone is left, nothing is.
 */
export function evictionRates(
  zones: ReadonlyMap<string, ZoneCounts>,
  s: Pick<NodeLifecycleSettings, "evictionRate" | "secondaryEvictionRate" | "unhealthyShare" | "largeZone">,
): ReadonlyMap<string, number> {
  const states = [...zones].map(([zone, counts]) => ({ zone, counts, state: zoneState(counts, s.unhealthyShare) }));
  const nowhereToGo = states.every(({ state }) => state === "FullDisruption");
  return new Map(
    states.map(({ zone, counts, state }) => {
      if (nowhereToGo) return [zone, 0];
      if (state !== "PartialDisruption") return [zone, s.evictionRate];
      return [zone, counts.ready + counts.unready > s.largeZone ? s.secondaryEvictionRate : 0];
    }),
  );
}

/** Counts the nodes of all zones, and gives out the turns to be emptied. */
export class Zones {
  readonly #settings: NodeLifecycleSettings;
  readonly #nodes = new Map<string, { readonly zone: string; readonly ready: boolean }>();
  readonly #lastTurn = new Map<string, number>();
  #rates: ReadonlyMap<string, number> = new Map();

  constructor(settings: NodeLifecycleSettings) {
    this.#settings = settings;
  }

  /** `now` undefined: it is gone. Whether any zone's rate is another one since. */
  changed(node: string, now: { readonly zone: string; readonly ready: boolean } | undefined): boolean {
    const old = this.#nodes.get(node);
    if (old?.zone === now?.zone && old?.ready === now?.ready) return false;
    if (now) this.#nodes.set(node, now);
    else this.#nodes.delete(node);
    const before = this.#rates;
    this.#rates = evictionRates(this.#count(), this.#settings);
    return [...this.#rates].some(([zone, rate]) => before.get(zone) !== rate);
  }

  rate(zone: string): number {
    return this.#rates.get(zone) ?? 0;
  }

  /** Milliseconds until the zone has a turn; 0: now, and it is taken. Infinity: not as things are. */
  takeTurn(zone: string, now: number): number {
    const rate = this.rate(zone);
    const wait = (this.#lastTurn.get(zone) ?? -Infinity) + 1000 / rate - now;
    if (rate === 0) return Infinity;
    if (wait > 0) return wait;
    this.#lastTurn.set(zone, now);
    return 0;
  }

  #count(): ReadonlyMap<string, ZoneCounts> {
    const zones = new Map<string, { ready: number; unready: number }>();
    for (const { zone, ready } of this.#nodes.values()) {
      const counts = zones.get(zone) ?? { ready: 0, unready: 0 };
      counts[ready ? "ready" : "unready"]++;
      zones.set(zone, counts);
    }
    return zones;
  }
}
