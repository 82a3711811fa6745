/** One informer a kind, shared by all loops of a process that look at it. */
import type { ApiObject } from "../api/object.ts";
import { controllerOf } from "../api/object.ts";
import type { ResourceRef } from "../api/resource.ts";
import type { Client } from "../client/client.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Indexer } from "./cache.ts";
import { Informer } from "./informer.ts";

export interface InformersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
}

/** Under which {@link Informers} finds the objects of a namespace that nobody manages. */
export const orphansOf = (namespace: string) => `orphans/${namespace}`;

/** By the uid of the owner that manages the object, and by its namespace. */
const INDEXERS: Readonly<Record<string, Indexer<ApiObject>>> = {
  controller: (o) => [controllerOf(o)?.uid ?? orphansOf(o.metadata.namespace ?? "")],
  namespace: (o) => [o.metadata.namespace ?? ""],
  node: (o) => [(o as DeepReadonly<{ spec?: { nodeName?: string } }>).spec?.nodeName ?? ""],
};

interface Shared {
  readonly informer: Informer<ApiObject>;
  readonly abort: AbortController;
  done: Promise<void>;
}

/** Every informer has the indexes `controller`, `namespace` and (of Pods) `node`. */
export class Informers {
  readonly #o: InformersOptions;
  readonly #shared = new Map<string, Shared>();
  #signal: AbortSignal | undefined;

  constructor(o: InformersOptions) {
    this.#o = o;
  }

  /** The same for everybody who asks for the kind; it runs as soon as this does. */
  of<T extends ApiObject>(ref: ResourceRef<T>): Informer<T> {
    const name = nameOfKind(ref);
    let shared = this.#shared.get(name);
    if (!shared) {
      const { node, ...others } = INDEXERS;
      const indexers = ref.kind === "Pod" && node ? { ...others, node } : others;
      const resource = this.#o.client.resource(ref as ResourceRef);
      const informer = new Informer<ApiObject>({ ...this.#o, resource, indexers });
      shared = { informer, abort: new AbortController(), done: Promise.resolve() };
      this.#shared.set(name, shared);
      if (this.#signal && !this.#signal.aborted) shared.done = shared.informer.run(shared.abort.signal);
    }
    // Filled with the answers to requests for this very kind.
    return shared.informer as unknown as Informer<T>;
  }

  /** The kind is served no more. */
  async drop(ref: ResourceRef): Promise<void> {
    const name = nameOfKind(ref);
    const shared = this.#shared.get(name);
    this.#shared.delete(name);
    shared?.abort.abort();
    await shared?.done;
  }

  /** Keeps all of them up to date until the signal aborts. Call it once. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    if (!signal.aborted) {
      for (const shared of this.#shared.values()) shared.done = shared.informer.run(shared.abort.signal);
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    }
    const all = [...this.#shared.values()];
    for (const { abort } of all) abort.abort();
    await Promise.all(all.map((s) => s.done));
  }
}

const nameOfKind = (ref: ResourceRef) => `${ref.plural}.${ref.group}/${ref.version}`;
