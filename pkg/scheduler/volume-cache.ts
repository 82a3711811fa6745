/** Claims, volumes and classes as the scheduler sees them: what the API shows, and what it has decided and the API does not yet show. */
import type { ObjectKey } from "../api/object.ts";
import { keyOf, nameOf, uidOf } from "../api/object.ts";
import { isFor, type ReadonlyClaim, type ReadonlyClass, type ReadonlyVolume, reserved } from "../api/volumes.ts";

/** What plugins may ask. */
export interface Volumes {
  claim(key: ObjectKey): ReadonlyClaim | undefined;
  volume(name: string): ReadonlyVolume | undefined;
  class(name: string): ReadonlyClass | undefined;
  /** All, those that are given away but do not show it among them as if they did. */
  all(): Iterable<ReadonlyVolume>;
}

/** What must be written before a Pod can be bound to the node that was chosen. */
export interface VolumePlan {
  readonly bind: readonly { readonly claim: ReadonlyClaim; readonly volume: ReadonlyVolume }[];
  /** Volumes are to be made for these. */
  readonly provision: readonly ReadonlyClaim[];
}

/** A volume given to a claim is given to no other, from the moment of the decision (Scheduler D1). */
export class VolumeCache implements Volumes {
  readonly #claims = new Map<ObjectKey, ReadonlyClaim>();
  readonly #volumes = new Map<string, ReadonlyVolume>();
  readonly #classes = new Map<string, ReadonlyClass>();
  readonly #given = new Map<string, ReadonlyClaim>();

  claim(key: ObjectKey): ReadonlyClaim | undefined {
    return this.#claims.get(key);
  }

  volume(name: string): ReadonlyVolume | undefined {
    const volume = this.#volumes.get(name);
    const claim = this.#given.get(name);
    return volume && claim && !isFor(volume, claim) ? reserved(volume, claim) : volume;
  }

  class(name: string): ReadonlyClass | undefined {
    return this.#classes.get(name);
  }

  *all(): Generator<ReadonlyVolume> {
    for (const name of this.#volumes.keys()) {
      const volume = this.volume(name);
      if (volume) yield volume;
    }
  }

  setClaim(key: ObjectKey, claim: ReadonlyClaim | undefined): void {
    if (claim) this.#claims.set(key, claim);
    else this.#claims.delete(key);
  }

  setVolume(name: string, volume: ReadonlyVolume | undefined): void {
    if (volume) this.#volumes.set(name, volume);
    else this.#volumes.delete(name);
  }

  setClass(name: string, storageClass: ReadonlyClass | undefined): void {
    if (storageClass) this.#classes.set(name, storageClass);
    else this.#classes.delete(name);
  }

  give({ bind }: VolumePlan): void {
    for (const { claim, volume } of bind) this.#given.set(nameOf(volume), claim);
  }

  /** Done, or failed: from now on only the API counts. */
  settle({ bind }: VolumePlan): void {
    for (const { claim, volume } of bind) {
      const holder = this.#given.get(nameOf(volume));
      if (holder && keyOf(holder) === keyOf(claim) && uidOf(holder) === uidOf(claim))
        this.#given.delete(nameOf(volume));
    }
  }
}
