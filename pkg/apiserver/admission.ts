/**
 * What happens to a write between decoding and storing beyond the kind's own policy: plugins that may change it, refuse it,
 * or have something written in the same transaction. One chain for all kinds; the plugins are in admission/.
 */
import type { ApiObject } from "../api/object.ts";
import type { RequestContext, ResourceDef, ResourceRef } from "../api/resource.ts";
import type { Expectation, TxnOp } from "../store/store.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Entry } from "./entry.ts";
import type { User } from "./handler.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

export interface AdmissionRequest extends RequestContext {
  readonly operation: Operation;
  /** As the client named it: a view where it used one. Objects are always in the stored form (view.ts). */
  readonly def: ResourceDef;
  /** "" for kinds that have none. */
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  /** The state wanted, defaulted; `mutate` changes it in place. Undefined for DELETE. Of a CONNECT: its options. */
  readonly object: ApiObject | undefined;
  /** The state so far. Undefined for CREATE. */
  readonly old: DeepReadonly<ApiObject> | undefined;
  readonly user: User;
  readonly dryRun: boolean;
  /** Query parameters, or the DeleteOptions. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Told to the client beside the answer. */
  readonly warn: (message: string) => void;
}

/** The rest of the cluster as plugins see it. */
export interface ClusterView {
  /** From the cache: what this server knows now. */
  get<T extends ApiObject>(ref: ResourceRef<T>, namespace: string, name: string): DeepReadonly<T> | undefined;
  /** Greater after every change of an object of the kind: what was made of all of them holds until then. */
  changedAt(ref: ResourceRef): bigint;
  /** `namespace` "": all. In key order. */
  list<T extends ApiObject>(ref: ResourceRef<T>, namespace?: string): Iterable<DeepReadonly<T>>;
  /** From the store itself: what any server has written. */
  fresh<T extends ApiObject>(
    ref: ResourceRef<T>,
    namespace: string,
    name: string,
  ): Promise<{ readonly object: DeepReadonly<T>; readonly entry: Entry } | undefined>;
}

/** Written with the object or not at all. When an expectation fails, the write is decided anew, from `mutate` on. */
export interface Alongside {
  readonly expect: readonly Expectation[];
  readonly ops: readonly TxnOp[];
  /** Called once: the write is done, given up, or about to be decided anew. */
  readonly done?: () => void;
}

export interface AdmissionPlugin {
  readonly name: string;
  /** Before the kind's own validation. Throws ApiError to refuse. May run several times for one request. */
  readonly mutate?: (r: AdmissionRequest, view: ClusterView) => void | Promise<void>;
  /** After it. `attempt` counts from 1: from the second on, what the cache shows may have been too old. */
  readonly validate?: (
    r: AdmissionRequest,
    view: ClusterView,
    attempt: number,
  ) => void | Alongside | undefined | Promise<void | Alongside | undefined>;
  /** When the object goes for good, by whatever request: what goes with it. */
  readonly removed?: (def: ResourceDef, last: DeepReadonly<ApiObject>) => readonly TxnOp[] | undefined;
}

export class Admission {
  readonly #plugins: readonly AdmissionPlugin[];
  readonly #view: ClusterView;

  constructor(plugins: readonly AdmissionPlugin[], view: ClusterView) {
    this.#plugins = plugins;
    this.#view = view;
  }

  async mutate(r: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) {
      const pending = plugin.mutate?.(r, this.#view);
      // Most have nothing to do and say so at once; a turn of the event loop for each would be the cost of the chain.
      if (pending) await pending;
    }
  }

  async validate(r: AdmissionRequest, attempt: number): Promise<Alongside> {
    const expect: Expectation[] = [];
    const ops: TxnOp[] = [];
    const ends: (() => void)[] = [];
    const done = () => ends.forEach((end) => end());
    try {
      for (const plugin of this.#plugins) {
        const pending = plugin.validate?.(r, this.#view, attempt);
        const found = pending instanceof Promise ? await pending : pending;
        if (!found) continue;
        expect.push(...found.expect);
        ops.push(...found.ops);
        if (found.done) ends.push(found.done);
      }
    } catch (error) {
      done();
      throw error;
    }
    return { expect, ops, done };
  }

  /** What the plugins want to be written along with the removal of an object. */
  removed(def: ResourceDef, last: DeepReadonly<ApiObject>): readonly TxnOp[] {
    return this.#plugins.flatMap((plugin) => plugin.removed?.(def, last) ?? []);
  }
}
