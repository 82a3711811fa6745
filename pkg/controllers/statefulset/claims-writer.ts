/** Makes the claims that a StatefulSet's replicas need, and gives them the owners they should have. */
import type { PersistentVolumeClaim, StatefulSet } from "../../api/generated/types.ts";
import { statefulSets } from "../../api/kinds/apps/statefulset.ts";
import { persistentVolumeClaims } from "../../api/kinds/core/persistentvolumeclaim.ts";
import { keyOf, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import type { Informer } from "../../informer/informer.ts";
import { type EventRecorder, subjectOf } from "../../reconcile/events.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { WriteContext } from "../history/history.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects } from "../workload/owned-objects.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { claimOwners, isStale } from "./claims.ts";
import { claimsAt, nameAt, ordinalOf } from "./identity.ts";
import { isScaledDown } from "./plan.ts";

type Context = WriteContext<StatefulSet>;

export class Claims {
  readonly #o: ControllerParts;
  readonly #recorder: EventRecorder;
  readonly #informer: Informer<PersistentVolumeClaim>;
  readonly #claims: OwnedObjects<PersistentVolumeClaim>;

  constructor(o: ControllerParts, recorder: EventRecorder) {
    this.#o = o;
    this.#recorder = recorder;
    this.#informer = o.informers.of(persistentVolumeClaims);
    this.#claims = new OwnedObjects({ client: o.client, ref: persistentVolumeClaims, informer: this.#informer });
  }

  /** Before a Pod is created. False: a claim that is still there must go first. */
  async provide(w: Context, ordinal: number): Promise<boolean> {
    const wanted = claimsAt(w.owner, ordinal);
    const there = wanted.map((claim) => this.#informer.get(keyOf(claim)));
    if (there.some((claim) => claim && isStale(nameOf(w.owner), ordinal, claim))) return false;
    const leaving = there.find((claim) => claim?.metadata.deletionTimestamp !== undefined);
    if (leaving) throw new Error(`pvc ${nameOf(leaving)} is being deleted`);
    await this.#createMissing(w, ordinal);
    return true;
  }

  /** Of the Pods there are: what is missing to one that waits for it, and whose each claim is. */
  async tend(w: Context, pods: readonly ReadonlyPod[]): Promise<void> {
    if (!w.owner.spec?.volumeClaimTemplates?.length) return;
    for (const object of pods) {
      const ordinal = ordinalOf(nameOf(w.owner), object) ?? -1;
      const scaledDown = isScaledDown(w.owner, ordinal);
      const waits = object.status?.phase === "Pending" && object.metadata.deletionTimestamp === undefined;
      if (waits && !scaledDown) await this.#createMissing(w, ordinal);
      for (const { metadata } of claimsAt(w.owner, ordinal)) {
        const claim = this.#informer.get(keyOf({ metadata }));
        if (claim) await this.#own(w, claim, { object, scaledDown });
      }
    }
  }

  async #createMissing(w: Context, ordinal: number): Promise<void> {
    for (const claim of claimsAt(w.owner, ordinal)) {
      if (this.#informer.get(keyOf(claim))) continue;
      const ownerReferences = claimOwners(w.owner, claim, undefined);
      await this.#create(w, ordinal, {
        ...claim,
        metadata: { ...claim.metadata, ...(ownerReferences && { ownerReferences }) },
      });
    }
  }

  async #create(w: Context, ordinal: number, claim: PersistentVolumeClaim): Promise<void> {
    const subject = subjectOf(statefulSets as unknown as ResourceRef, w.owner);
    const [set, pod] = [nameOf(w.owner), nameAt(nameOf(w.owner), ordinal)];
    const what = `create Claim ${nameOf(claim)} Pod ${pod} in StatefulSet ${set}`;
    try {
      await this.#claims.create(claim, w.cause("ClaimMissing"), w.signal);
      this.#recorder.event(subject, "Normal", "SuccessfulCreate", `${what} success`);
    } catch (error) {
      if (!w.signal.aborted && !isReason(error, "AlreadyExists", "NotFound")) {
        this.#recorder.event(subject, "Warning", "FailedCreate", `${what} failed error: ${(error as Error).message}`);
      }
      throw error;
    }
  }

  async #own(
    w: Context,
    claim: DeepReadonly<PersistentVolumeClaim>,
    pod: { readonly object: ReadonlyPod; readonly scaledDown: boolean },
  ): Promise<void> {
    const ownerReferences = claimOwners(w.owner, claim, pod);
    if (!ownerReferences || claim.metadata.deletionTimestamp !== undefined) return;
    const api = this.#o.client.resource(persistentVolumeClaims, namespaceOf(claim));
    const next = { ...claim, metadata: { ...claim.metadata, ownerReferences } };
    const written = await api.update(next, { cause: w.cause("RetentionPolicy") });
    await this.#informer.whenShows(written, w.signal);
  }
}
