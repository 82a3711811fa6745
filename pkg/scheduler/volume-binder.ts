/** Has the claims of a Pod bound for the node that was chosen, before the Pod is. */
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from "../api/generated/types.ts";
import { persistentVolumes } from "../api/kinds/core/persistentvolume.ts";
import { persistentVolumeClaims } from "../api/kinds/core/persistentvolumeclaim.ts";
import { storageClasses } from "../api/kinds/storage/storageclass.ts";
import { keyOf, namespaceOf, uidOf } from "../api/object.ts";
import { isBound, type ReadonlyClaim, reserved, SELECTED_NODE } from "../api/volumes.ts";
import type { Client } from "../client/client.ts";
import type { Cause } from "../client/transport.ts";
import { Informer } from "../informer/informer.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { VolumeCache, VolumePlan } from "./volume-cache.ts";

/** As kube-scheduler: whoever makes the volume has so long. */
const BIND_TIMEOUT_MS = 10 * 60_000;

export interface VolumeBinderOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  /** Something changed that Pods may wait for. */
  readonly changed: () => void;
}

export class VolumeBinder {
  readonly cache: VolumeCache;
  readonly #o: VolumeBinderOptions;
  readonly #claims: Informer<PersistentVolumeClaim>;
  readonly #volumes: Informer<PersistentVolume>;
  readonly informers: readonly Pick<Informer<never>, "run" | "whenSynced">[];

  constructor(cache: VolumeCache, o: VolumeBinderOptions) {
    this.cache = cache;
    this.#o = o;
    this.#claims = new Informer({ ...o, resource: o.client.resource<PersistentVolumeClaim>(persistentVolumeClaims) });
    this.#volumes = new Informer({ ...o, resource: o.client.resource<PersistentVolume>(persistentVolumes) });
    const classes = new Informer({ ...o, resource: o.client.resource<StorageClass>(storageClasses) });
    this.informers = [this.#claims, this.#volumes, classes];
    const told = (set: () => void) => {
      set();
      o.changed();
    };
    this.#claims.onChange((key, now) => told(() => cache.setClaim(key, now)));
    this.#volumes.onChange((name, now) => told(() => cache.setVolume(name, now)));
    classes.onChange((name, now) => told(() => cache.setClass(name, now)));
  }

  /** Resolves when every claim of the plan is bound; rejects when that fails or takes too long. */
  async bind(plan: VolumePlan, node: string, cause: Cause, signal: AbortSignal): Promise<void> {
    const deadline = new AbortController();
    const late = () => deadline.abort(new Error("timed out waiting for PersistentVolumeClaims to be bound"));
    using _timer = this.#o.clock.after(BIND_TIMEOUT_MS, late);
    const stop = AbortSignal.any([signal, deadline.signal]);
    // As it was when it was chosen: if it has changed since, the write is refused, and the Pod is placed anew.
    for (const { claim, volume } of plan.bind) {
      const answer = await this.#o.client.resource(persistentVolumes).update(reserved(volume, claim), { cause });
      await this.#volumes.whenShows(answer, stop);
    }
    for (const claim of plan.provision) await this.#select(claim, node, cause, stop);
    const all = [...plan.bind.map((b) => b.claim), ...plan.provision];
    let lost: string | undefined;
    await this.#claims.until(() => {
      lost = this.#lost(plan, node);
      return lost !== undefined || all.every((c) => isBound(this.#claims.get(keyOf(c)) ?? c));
    }, stop);
    if (lost !== undefined) throw new Error(lost);
  }

  async #select(claim: ReadonlyClaim, node: string, cause: Cause, signal: AbortSignal): Promise<void> {
    const { annotations = {} } = claim.metadata;
    if (annotations[SELECTED_NODE] === node) return;
    const metadata = { ...claim.metadata, annotations: { ...annotations, [SELECTED_NODE]: node } };
    const api = this.#o.client.resource(persistentVolumeClaims, namespaceOf(claim));
    await this.#claims.whenShows(await api.update({ ...claim, metadata }, { cause }), signal);
  }

  /** Why it will never be bound as decided; undefined: it may. */
  #lost({ bind, provision }: VolumePlan, node: string): string | undefined {
    for (const claim of [...bind.map((b) => b.claim), ...provision]) {
      const now = this.#claims.get(keyOf(claim));
      if (!now || uidOf(now) !== uidOf(claim)) return `persistentvolumeclaim ${keyOf(claim)} is gone`;
      if (provision.includes(claim) && now.metadata.annotations?.[SELECTED_NODE] !== node) {
        return `node ${node} cannot have a volume for persistentvolumeclaim ${keyOf(claim)}`;
      }
    }
    return undefined;
  }
}
