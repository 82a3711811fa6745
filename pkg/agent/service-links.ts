/** This node's copy of the Services, for the environment of its containers: starting one asks nobody. */
import type { Service } from "../api/generated/types.ts";
import { services } from "../api/kinds/core/service.ts";
import { makeKey, namespaceOf } from "../api/object.ts";
import type { Client } from "../client/client.ts";
import { Informer } from "../informer/informer.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { serviceVariables } from "./service-env.ts";

/** The API server's own: every Pod finds it. */
const MASTER = makeKey("default", "kubernetes");

export class ServiceLinks {
  readonly #informer: Informer<Service>;

  constructor({ client, ...o }: { client: Client; clock: Clock; random: Random; log: Logger }) {
    const resource = client.resource(services);
    this.#informer = new Informer({
      clock: o.clock,
      random: o.random,
      log: o.log,
      resource,
      indexers: { namespace: (s) => [namespaceOf(s)] },
    });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#informer.run(signal);
  }

  get synced(): boolean {
    return this.#informer.synced;
  }

  /** Before it resolves, variables of Services that are long there may be missing. */
  whenSynced(signal: AbortSignal): Promise<void> {
    return this.#informer.whenSynced(signal);
  }

  /** `links`: of all Services of the namespace. */
  variables(namespace: string, links: boolean): ReadonlyMap<string, string> {
    const master = this.#informer.get(MASTER);
    const own = links ? this.#informer.byIndex("namespace", namespace) : [];
    return serviceVariables([...own, ...(master ? [master] : [])]);
  }
}
