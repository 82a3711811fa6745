/** Keeps the ControllerRevisions of an owner: one for each template it has had. */
import { deepEqual } from "../../api/equal.ts";
import type { ControllerRevision, PodTemplateSpec } from "../../api/generated/types.ts";
import { controllerRevisions } from "../../api/kinds/apps/controllerrevision.ts";
import { type ApiObject, controllerOf, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import type { Cause } from "../../client/transport.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { hashOf } from "../workload/hash.ts";
import { OwnedObjects } from "../workload/owned-objects.ts";
import { claimOf, type Ownership } from "../workload/owners.ts";
import { ownerReference } from "../workload/pods.ts";
import { inOrder, planRevision, type Revision, snapshotOf, surplus } from "./plan.ts";

export interface HistoryOptions<O extends ApiObject> {
  readonly ref: ResourceRef<O>;
  readonly selector: Ownership<O, ControllerRevision>["selector"];
  readonly template: (owner: DeepReadonly<O>) => DeepReadonly<PodTemplateSpec>;
  /** Where a revision carries its hash. */
  readonly hashLabel: string;
}

/** For whom, why and until when something is written. */
export interface WriteContext<O extends ApiObject> {
  readonly owner: DeepReadonly<O>;
  readonly cause: (reason: string) => Cause;
  readonly signal: AbortSignal;
}

export interface History {
  /** Oldest first. */
  readonly revisions: readonly Revision[];
  /** The one that holds the owner's present template. */
  readonly update: Revision;
  /** To be kept in the owner's status: the next name is made with it. */
  readonly collisionCount: number;
}

const MAX_PREFIX = 223;

/** How often a name may be taken by something else in one reconcile. */
const MAX_COLLISIONS = 20;

export class RevisionHistory<O extends ApiObject> {
  readonly ownership: Ownership<O, ControllerRevision>;
  readonly #o: HistoryOptions<O>;
  readonly #client: Client;
  readonly #revisions: OwnedObjects<ControllerRevision>;

  constructor(parts: ControllerParts, o: HistoryOptions<O>) {
    const owned = parts.informers.of(controllerRevisions);
    this.#o = o;
    this.#client = parts.client;
    this.ownership = { ref: o.ref, owners: parts.informers.of(o.ref), owned, selector: o.selector };
    this.#revisions = new OwnedObjects({ client: parts.client, ref: controllerRevisions, informer: owned });
  }

  /** Sees to it that the newest revision is the owner's present template. */
  async sync(w: WriteContext<O>, collisionCount: number): Promise<History> {
    await this.#claim(w);
    const data = snapshotOf(this.#o.template(w.owner));
    const plan = planRevision(data, this.#owned(w.owner));
    if (plan.do === "renumber") {
      await this.#revisions.patch(plan.revision, { revision: plan.to }, w.cause("RolledBack"), w.signal);
    } else if (plan.do === "create") {
      collisionCount = await this.#create(w, { data, revision: plan.to }, collisionCount);
    }
    const revisions = inOrder(this.#owned(w.owner));
    const update = revisions.findLast((r) => deepEqual(r.data, data));
    // Somebody was quicker to delete or change it: look again.
    if (!update) throw new Error(`the revision of ${nameOf(w.owner)} was lost`);
    return { revisions, update, collisionCount };
  }

  async truncate(w: WriteContext<O>, isLive: (revision: Revision) => boolean, limit: number): Promise<void> {
    for (const revision of surplus(this.#owned(w.owner), isLive, limit)) {
      await this.#revisions.delete(revision, w.cause("RevisionHistoryLimit"), w.signal);
    }
  }

  #owned(owner: DeepReadonly<O>): readonly Revision[] {
    return claimOf(this.ownership, owner).owned;
  }

  async #claim({ owner, cause, signal }: WriteContext<O>): Promise<void> {
    const found = claimOf(this.ownership, owner);
    for (const r of found.release) await this.#revisions.release(r, owner, cause("LabelsChanged"), signal);
    const by = { ref: this.#o.ref as ResourceRef, object: owner };
    for (const r of found.adopt) await this.#revisions.adopt(r, by, cause("Adopted"), signal);
  }

  /** Under the first name that is free; gives how often one was not. */
  async #create(
    w: WriteContext<O>,
    version: Pick<ControllerRevision, "data" | "revision">,
    collisionCount: number,
  ): Promise<number> {
    for (let count = collisionCount; count < collisionCount + MAX_COLLISIONS; count++) {
      const body = this.#body(w.owner, version, count);
      try {
        await this.#revisions.create(body, w.cause("TemplateChanged"), w.signal);
        return count;
      } catch (error) {
        if (!isReason(error, "AlreadyExists")) throw error;
      }
      if (await this.#isThere(w, body)) return count;
    }
    throw new Error(`no free name for a revision of ${nameOf(w.owner)}`);
  }

  /** It was written before, and the answer was lost. */
  async #isThere({ owner, signal }: WriteContext<O>, wanted: ControllerRevision): Promise<boolean> {
    const api = this.#client.resource(controllerRevisions, namespaceOf(owner));
    const found = await api.get(nameOf(wanted), signal);
    if (controllerOf(found)?.uid !== uidOf(owner) || !deepEqual(found.data, wanted.data)) return false;
    await this.ownership.owned.whenShows(found, signal);
    return true;
  }

  #body(
    owner: DeepReadonly<O>,
    { data, revision }: Pick<ControllerRevision, "data" | "revision">,
    collisions: number,
  ): ControllerRevision {
    const hash = hashOf(data, collisions);
    const { annotations } = owner.metadata;
    return {
      apiVersion: "apps/v1",
      kind: "ControllerRevision",
      metadata: {
        name: `${nameOf(owner).slice(0, MAX_PREFIX)}-${hash}`,
        namespace: namespaceOf(owner),
        labels: { ...this.#o.template(owner).metadata?.labels, [this.#o.hashLabel]: hash },
        ...(annotations && { annotations: { ...annotations } }),
        ownerReferences: [ownerReference(this.#o.ref as ResourceRef, owner)],
      },
      data,
      revision,
    };
  }
}
