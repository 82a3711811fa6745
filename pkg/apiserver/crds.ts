/**
 * Keeps what the server serves in line with the stored CustomResourceDefinitions, and says in their status what became of
 * them. Level-triggered: a CRD's name in the queue means "look again".
 *
 *  D1  A kind is Established only when this server serves it: objects, watches, discovery and documents.
 *  D2  After `settled(name, revision)` what is served is that revision of the CRD or a newer one.
 *  D3  A CRD goes only when none of its objects is left; from its deletion on no new ones are created.
 */
import { deepClone, semanticEqual } from "../api/equal.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition as Condition,
  CustomResourceDefinitionNames as Names,
} from "../api/generated/types.ts";
import { isTrue, setCondition } from "../api/kinds/apiextensions/conditions.ts";
import { customResourceDefs } from "../api/kinds/apiextensions/custom-resources.ts";
import {
  CLEANUP_FINALIZER,
  customResourceDefinitions as crds,
} from "../api/kinds/apiextensions/customresourcedefinition.ts";
import { acceptNames, takenBy } from "../api/kinds/apiextensions/names.ts";
import type { ResourceDef } from "../api/resource.ts";
import { isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import type { Revision } from "../store/store.ts";
import { type Clock, rfc3339 } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Entry } from "./entry.ts";
import { keyFor } from "./keys.ts";
import type { ResourceTable } from "./resource-table.ts";
import { select } from "./selection.ts";
import type { WatchCache } from "./watchcache.ts";

type Crd = DeepReadonly<CustomResourceDefinition>;

/** How long a write of a CRD waits until it is served; after that it is answered anyway. */
const SETTLE_MS = 5_000;
const RETRY_MS = 1_000;

/** Who writes: its writes are not waited for, as it would wait for itself. */
export const CRD_COMPONENT = "crd-controller";

export interface CustomResourcesOptions {
  readonly table: ResourceTable;
  readonly cache: WatchCache;
  /** Acts as the server itself, as {@link CRD_COMPONENT}. */
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Served {
  readonly stored: ResourceDef;
  /** What the kinds were made of: while it stays the same they are not made anew. */
  readonly made: string;
}

export class CustomResources {
  readonly #o: CustomResourcesOptions;
  readonly #def: ResourceDef = crds as unknown as ResourceDef;
  readonly #served = new Map<string, Served>();
  /** The revision of each CRD that has been looked at. */
  readonly #seen = new Map<string, Revision>();
  readonly #accepted = new Map<string, Names>();
  readonly #queue = new Set<string>();
  readonly #abort = new AbortController();
  readonly #running: Promise<void>[] = [];
  #waiting: { name: string; revision: Revision; wake: () => void }[] = [];
  #wake: () => void = () => {};

  constructor(o: CustomResourcesOptions) {
    this.#o = o;
  }

  /** From when it resolves, all that was Established is served. */
  async start(): Promise<void> {
    if (!this.#o.cache.has(this.#def)) return;
    for (const { object } of this.#all()) {
      const name = object.metadata.name ?? "";
      // One that cannot be served must not keep the others from it.
      await this.#serve(object as Crd).catch((error: unknown) => this.#failed(name, error));
    }
    this.#running.push(this.#follow(), this.#work());
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wake();
    for (const { wake } of this.#waiting) wake();
    await Promise.all(this.#running);
  }

  /** See D2. Gives up after a while: the write it is about has happened in any case. */
  settled(name: string, revision: Revision): Promise<void> {
    if (this.#abort.signal.aborted || (this.#seen.get(name) ?? 0n) >= revision) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        timer[Symbol.dispose]();
        this.#waiting = this.#waiting.filter((w) => w !== waiter);
        resolve();
      };
      const waiter = { name, revision, wake };
      const timer = this.#o.clock.after(SETTLE_MS, wake);
      this.#waiting.push(waiter);
      // Its event may be on its way still; what we wrote ourselves the cache knows already.
      this.#enqueue(name);
    });
  }

  #all(): Iterable<Entry> {
    return this.#o.cache.resource(this.#def).entries();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const selection = select(this.#def, {});
      const watcher = this.#o.cache.resource(this.#def).subscribe({ selection, from: undefined });
      // A watch that starts anew does not say what has gone meanwhile.
      for (const name of this.#served.keys()) this.#enqueue(name);
      for await (const batch of watcher.batches(signal)) {
        for (const { entry } of batch) this.#enqueue(entry.object.metadata.name ?? "");
      }
    }
  }

  #enqueue(name: string): void {
    this.#queue.add(name);
    this.#wake();
  }

  async #work(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const [name] = this.#queue;
      if (name === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      this.#queue.delete(name);
      try {
        await this.#look(name);
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(name, error);
      }
    }
  }

  #failed(name: string, error: unknown): void {
    // After a conflict somebody else was quicker, which is no news.
    if (!isReason(error, "Conflict")) this.#o.log.warn({ crd: name, error }, "cannot serve a CRD, trying again");
    this.#again(name);
  }

  #again(name: string): void {
    const { signal } = this.#abort;
    this.#o.clock.sleep(RETRY_MS, signal).then(
      () => this.#enqueue(name),
      () => undefined,
    );
  }

  async #look(name: string): Promise<void> {
    const entry = this.#o.cache.newest(this.#def, keyFor(this.#def, "", name));
    if (!entry) return this.#forget(name);
    const crd = entry.object as Crd;
    const next = deepClone(crd) as CustomResourceDefinition;
    const now = rfc3339(this.#o.clock.now());
    const accepted = acceptNames(crd, this.#taken(crd));
    this.#accepted.set(name, accepted.names);
    next.status = { ...next.status, acceptedNames: accepted.names };
    setCondition(next, accepted.condition, now);
    setCondition(next, established(crd, accepted.condition), now);
    await this.#serve(next);
    if (!semanticEqual(next.status, crd.status)) {
      await this.#o.client.resource(crds).updateStatus(next);
    }
    this.#reached(name, entry.revision);
    if (crd.metadata.deletionTimestamp) await this.#finish(name);
  }

  #taken({ metadata, spec }: Crd) {
    const builtIn = this.#o.table.builtIn.filter((d) => d.group === spec.group);
    const names = new Map<string, DeepReadonly<Names> | undefined>();
    for (const { object } of this.#all()) names.set(object.metadata.name ?? "", (object as Crd).status?.acceptedNames);
    // What this server has accepted a moment ago may not be in the cache yet.
    for (const [name, accepted] of this.#accepted) names.set(name, accepted);
    const others = [...names].filter(([name]) => name !== metadata.name && name.endsWith(`.${spec.group}`));
    return takenBy([
      ...builtIn.map((d) => ({ ...namesOf(d), listKind: `${d.kind}List` })),
      ...others.flatMap(([, accepted]) => accepted ?? []),
    ]);
  }

  /** D1: what is Established now, or was and stays so. */
  async #serve(crd: Crd): Promise<void> {
    const name = crd.metadata.name ?? "";
    if (!isTrue(crd, "Established")) return;
    const made = JSON.stringify([crd.spec, crd.status?.acceptedNames, isTrue(crd, "Terminating")]);
    const before = this.#served.get(name);
    if (before?.made === made) return;
    const defs = customResourceDefs(crd);
    const [first] = defs;
    if (!first) return this.#unserve(name);
    const stored = first.view?.of ?? first;
    await this.#o.cache.add(stored);
    this.#served.set(name, { stored, made });
    this.#o.table.set(name, defs);
  }

  #unserve(name: string): void {
    const served = this.#served.get(name);
    if (!served) return;
    this.#served.delete(name);
    this.#o.table.set(name, []);
    this.#o.cache.remove(served.stored);
  }

  #forget(name: string): void {
    this.#unserve(name);
    this.#seen.delete(name);
    this.#accepted.delete(name);
    for (const waiter of this.#waiting) if (waiter.name === name) waiter.wake();
    // The names it had are free now.
    const group = name.slice(name.indexOf(".") + 1);
    for (const { object } of this.#all()) {
      const other = object as Crd;
      if (other.spec.group === group && !isTrue(other, "NamesAccepted")) this.#enqueue(other.metadata.name ?? "");
    }
  }

  #reached(name: string, revision: Revision): void {
    this.#seen.set(name, revision);
    for (const waiter of this.#waiting) if (waiter.name === name && waiter.revision <= revision) waiter.wake();
  }

  /** D3: deletes the objects, then lets the CRD go. What holds objects back is waited for. */
  async #finish(name: string): Promise<void> {
    const client = this.#o.client.resource(crds);
    const crd = (await client.get(name)) as Crd;
    if (!crd.metadata.finalizers?.includes(CLEANUP_FINALIZER)) return;
    const served = this.#served.get(name);
    if (served) await this.#deleteObjects(served);
    if (served && this.#o.cache.resource(served.stored).size > 0) return this.#again(name);
    const next = deepClone(crd) as CustomResourceDefinition;
    setCondition(next, served ? COMPLETED : NEVER, rfc3339(this.#o.clock.now()));
    const { metadata } = await client.updateStatus(next);
    const finalizers = crd.metadata.finalizers.filter((f) => f !== CLEANUP_FINALIZER);
    const { resourceVersion = "" } = metadata;
    await client.patch(name, "application/merge-patch+json", { metadata: { finalizers, resourceVersion } });
  }

  async #deleteObjects({ stored }: Served): Promise<void> {
    const def = this.#o.table.all.find((d) => d === stored || d.view?.of === stored);
    if (def) await this.#o.client.resource(def).deleteCollection();
    await this.#o.cache.fresh();
  }
}

function namesOf({ plural, singular, shortNames, kind }: ResourceDef): Names {
  return { plural, singular, shortNames: [...shortNames], kind };
}

/** Once Established, always: names that conflict later are told, but what is served goes on. */
function established(crd: Crd, names: Condition): Condition {
  const type = "Established";
  if (isTrue(crd, type) || names.status === "True") {
    return { type, status: "True", reason: "InitialNamesAccepted", message: "the initial names have been accepted" };
  }
  return { type, status: "False", reason: "NotAccepted", message: "not all names are accepted" };
}

const COMPLETED: Condition = {
  type: "Terminating",
  status: "False",
  reason: "InstanceDeletionCompleted",
  message: "removed all instances",
};
const NEVER: Condition = {
  type: "Terminating",
  status: "False",
  reason: "NeverEstablished",
  message: "resource was never established",
};
