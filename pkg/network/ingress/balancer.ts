/** Which endpoint of a backend gets the next request. */
import type { Backend, Endpoint } from "./backends.ts";

interface Load {
  inFlight: number;
  /** Connections to it failed: it is asked only when nobody else can be, until then. */
  avoidUntil: number;
}

const AVOID_MS = 1_000;

/**
 * The endpoint with the fewest requests under way; of equals, one after the other.
 *
 *  B1  What is in flight is known per address, across backends and tables: a change of routes forgets nothing.
 *  B2  An endpoint whose connection failed rests for a second, unless all have.
 *  B3  Nothing is kept of addresses without requests that no table names.
 */
export class Balancer {
  readonly #loads = new Map<string, Load>();
  #turn = 0;

  /** `tried`: not these again. Undefined when there is no other. */
  pick(backend: Backend, now: number, tried?: ReadonlySet<string>): Endpoint | undefined {
    const { endpoints } = backend;
    const start = this.#turn++ % (endpoints.length || 1);
    let best: Endpoint | undefined;
    let least = Infinity;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[(start + i) % endpoints.length];
      if (!endpoint || tried?.has(endpoint.key)) continue;
      const cost = this.#cost(endpoint.key, now);
      if (cost >= least) continue;
      best = endpoint;
      least = cost;
      if (cost === 0) break;
    }
    return best;
  }

  #cost(key: string, now: number): number {
    const load = this.#loads.get(key);
    if (!load) return 0;
    return load.inFlight + (load.avoidUntil > now ? 1e6 : 0);
  }

  begin(endpoint: Endpoint): void {
    this.#load(endpoint.key).inFlight++;
  }

  end(endpoint: Endpoint): void {
    const load = this.#load(endpoint.key);
    load.inFlight--;
    if (load.inFlight <= 0 && load.avoidUntil === 0) this.#loads.delete(endpoint.key);
  }

  failed(endpoint: Endpoint, now: number): void {
    this.#load(endpoint.key).avoidUntil = now + AVOID_MS;
  }

  /** Forgets those that nobody routes to any more. */
  keep(isKnown: (key: string) => boolean): void {
    for (const [key, load] of this.#loads) if (load.inFlight <= 0 && !isKnown(key)) this.#loads.delete(key);
  }

  #load(key: string): Load {
    let load = this.#loads.get(key);
    if (!load) this.#loads.set(key, (load = { inFlight: 0, avoidUntil: 0 }));
    return load;
  }
}
