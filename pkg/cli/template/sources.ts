/** What a template sees: lists of objects that follow the cluster. */
import { type ApiObject, keyOf } from "../../api/object.ts";
import { Informer } from "../../informer/informer.ts";
import { systemRandom } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { KnownResource } from "../discovery.ts";
import { UsageError } from "../io.ts";
import type { Session } from "../session.ts";

export interface SourceWord {
  readonly kind: string;
  readonly labelSelector?: string;
}

/** `services,endpointslices` and `pods:app=web,tier=front`, each option one or the other. */
export function parseSources(options: readonly string[]): SourceWord[] {
  return options.flatMap((option) => {
    const colon = option.indexOf(":");
    if (colon < 0)
      return option
        .split(",")
        .filter(Boolean)
        .map((kind) => ({ kind }));
    const [kind, labelSelector] = [option.slice(0, colon), option.slice(colon + 1)];
    if (kind === "" || kind.includes(",") || labelSelector === "")
      throw new UsageError(`--watch ${JSON.stringify(option)} is not of the form KIND, KIND,KIND or KIND:LABELS`);
    return [{ kind, labelSelector }];
  });
}

export class Sources {
  readonly #informers: ReadonlyMap<string, Informer<ApiObject>>;
  readonly #running: Promise<unknown>;
  readonly #stop: AbortController;

  private constructor(informers: ReadonlyMap<string, Informer<ApiObject>>, stop: AbortController) {
    this.#informers = informers;
    this.#stop = stop;
    this.#running = Promise.all([...informers.values()].map((i) => i.run(stop.signal)));
  }

  /** Resolves when all lists are complete. Rejects for a kind that is not served, or may not be listed. */
  static async open(session: Session, words: readonly SourceWord[], namespace: string | undefined): Promise<Sources> {
    const informers = new Map<string, Informer<ApiObject>>();
    for (const { kind, labelSelector } of words) {
      const known: KnownResource = await session.discovery.byWord(kind);
      if (informers.has(known.plural)) throw new UsageError(`${known.plural} are watched twice`);
      const resource = session.resource(known, known.namespaced ? namespace : undefined);
      const listOptions = labelSelector === undefined ? {} : { labelSelector };
      // An informer tries for ever; what will never succeed is said at once.
      await resource.list({ ...listOptions, limit: 1 }, session.io.signal);
      const { clock } = session.io;
      const informer = new Informer({ resource, clock, random: systemRandom, log: silent, listOptions });
      informers.set(known.plural, informer);
    }
    const sources = new Sources(informers, new AbortController());
    await Promise.all([...informers.values()].map((i) => i.whenSynced(session.io.signal)));
    return sources;
  }

  /** By plural: `{ services: […], endpointslices: […] }`, in the order of their names. */
  data(): Record<string, readonly DeepReadonly<ApiObject>[]> {
    const sorted = (i: Informer<ApiObject>) => i.list().toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    return Object.fromEntries([...this.#informers].map(([name, i]) => [name, sorted(i)]));
  }

  onChange(look: () => void): void {
    for (const informer of this.#informers.values()) informer.onChange(look);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
