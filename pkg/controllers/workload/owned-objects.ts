/** How a controller writes the objects it manages: with its reason, and in step with its own cache. */
import type { ApiObject } from "../../api/object.ts";
import { controllerOf, keyOf, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { ApiError, isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { ownerReference } from "./pods.ts";

/**
 * Writes that end only when the informer shows them. So the next reconcile of the same owner never acts on a state older
 * than its own writes, and creates nothing twice: what client-go's expectations are for.
 */
export class OwnedObjects<T extends ApiObject> {
  readonly #client: Client;
  readonly #ref: ResourceRef<T>;
  readonly #informer: Informer<T>;
  /** Names of what was written without an answer, by the uid of the owner. */
  readonly #unsure = new Map<string, Map<string, DeepReadonly<T>>>();

  constructor(o: { client: Client; ref: ResourceRef<T>; informer: Informer<T> }) {
    this.#client = o.client;
    this.#ref = o.ref;
    this.#informer = o.informer;
  }

  create(object: DeepReadonly<T>, cause: Cause, signal: AbortSignal): Promise<DeepReadonly<T>> {
    return this.#tracked(object, async () => {
      const created = await this.#api(object).create(object, { cause });
      await this.#informer.whenShows(created, signal);
      return created;
    });
  }

  /** One that is gone already, or was replaced by another of its name, is fine. */
  delete(object: DeepReadonly<T>, cause: Cause, signal: AbortSignal): Promise<void> {
    const uid = uidOf(object);
    const left = () => {
      const seen = this.#informer.get(keyOf(object));
      return !seen || uidOf(seen) !== uid || seen.metadata.deletionTimestamp !== undefined;
    };
    return this.#tracked(object, async () => {
      try {
        const o = { preconditions: { uid }, propagationPolicy: "Background", cause } as const;
        await this.#api(object).delete(nameOf(object), o);
      } catch (error) {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      }
      await this.#informer.until(left, signal);
    });
  }

  /** Merge-patches the object as it was seen: fails with Conflict when it has changed since. */
  patch(object: DeepReadonly<T>, change: object, cause: Cause, signal: AbortSignal): Promise<void> {
    const { uid, resourceVersion } = object.metadata;
    const { metadata = {}, ...rest } = change as { metadata?: object };
    const body = { ...rest, metadata: { uid, resourceVersion, ...metadata } };
    return this.#tracked(object, async () => {
      const api = this.#api(object);
      const patched = await api.patch(nameOf(object), "application/merge-patch+json", body, { cause });
      await this.#informer.whenShows(patched, signal);
    });
  }

  /** `owner` manages it from now on. */
  adopt(
    object: DeepReadonly<T>,
    owner: { ref: ResourceRef; object: DeepReadonly<ApiObject> },
    cause: Cause,
    signal: AbortSignal,
  ): Promise<void> {
    const references = [...(object.metadata.ownerReferences ?? []), ownerReference(owner.ref, owner.object)];
    return this.patch(object, { metadata: { ownerReferences: references } }, cause, signal);
  }

  /** Nobody manages it from now on. */
  async release(object: DeepReadonly<T>, owner: DeepReadonly<ApiObject>, cause: Cause, signal: AbortSignal) {
    const kept = (object.metadata.ownerReferences ?? []).filter((r) => r.uid !== uidOf(owner));
    const ownerReferences = kept.length > 0 ? kept : null;
    await this.patch(object, { metadata: { ownerReferences } }, cause, signal).catch((error: unknown) => {
      if (!isReason(error, "NotFound")) throw error;
    });
  }

  /**
   * Resolves when the cache shows what came of the owner's writes whose answers were lost. Call it before planning: a
   * write that seemed to fail may have been done, and doing the like of it again would be one too many.
   */
  async settle(owner: DeepReadonly<ApiObject>, signal: AbortSignal): Promise<void> {
    for (const [name, object] of this.#unsure.get(uidOf(owner)) ?? []) {
      try {
        await this.#informer.whenShows(await this.#api(object).get(name, signal), signal);
      } catch (error) {
        if (!isReason(error, "NotFound")) throw error;
        if (uidOf(object) !== "") await this.#informer.whenGone(object, signal);
      }
    }
    this.#unsure.delete(uidOf(owner));
  }

  /** A write is unsure until the cache shows what came of it; a refusal is an answer. */
  async #tracked<R>(object: DeepReadonly<T>, write: () => Promise<R>): Promise<R> {
    try {
      return await write();
    } catch (error) {
      const owner = controllerOf(object)?.uid;
      const refused = error instanceof ApiError && !error.retryable;
      // One whose name the server was to choose cannot be asked for; it will show as one too many.
      if (!refused && owner !== undefined && nameOf(object) !== "") {
        let unsure = this.#unsure.get(owner);
        if (!unsure) this.#unsure.set(owner, (unsure = new Map()));
        unsure.set(nameOf(object), object);
      }
      throw error;
    }
  }

  #api(object: DeepReadonly<T>) {
    return this.#client.resource(this.#ref, namespaceOf(object) || undefined);
  }
}

/**
 * Calls `fn` for 0 … count-1 in batches of 1, 2, 4, 8 …, so that a cluster that refuses is asked few times in vain. Stops
 * after the first batch with a failure and rejects with that; resolves with how many succeeded otherwise.
 */
export async function slowStart(count: number, fn: (i: number) => Promise<unknown>): Promise<number> {
  let done = 0;
  for (let batch = 1; done < count; batch *= 2) {
    const size = Math.min(batch, count - done);
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => fn(done + i)));
    const failed = results.find((r) => r.status === "rejected");
    if (failed) throw failed.reason;
    done += size;
  }
  return done;
}
