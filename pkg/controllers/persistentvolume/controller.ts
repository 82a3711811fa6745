/** Brings claims and volumes together, makes volumes where there are none, and lets go of those whose claim is gone. */
import type { PersistentVolume, PersistentVolumeClaim } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { persistentVolumes } from "../../api/kinds/core/persistentvolume.ts";
import { persistentVolumeClaims } from "../../api/kinds/core/persistentvolumeclaim.ts";
import { storageClasses } from "../../api/kinds/storage/storageclass.ts";
import { keyOf, makeKey, nameOf, namespaceOf, type ObjectKey, uidOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { isBound, type ReadonlyVolume, VOLUME_NODE, VOLUMES_DIRECTORY } from "../../api/volumes.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { planClaim, planVolume } from "./plan.ts";
import type { Plan, PlanEvent, World, Write } from "./steps.ts";

const NAME = "persistentvolume-controller";
/** More writes than any claim or volume needs in a row. */
const MAX_STEPS = 10;

const claimKey = (key: ObjectKey) => `claim:${key}`;
const volumeKey = (name: string) => `volume:${name}`;

/** Runs until the signal aborts. */
export async function runPersistentVolumeController(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const binder = new Binder(o, queue, recorder);
  const reconcile = (key: string, s: AbortSignal, run: ReconcileRun) => binder.reconcile(key, s, run);
  // One at a time: two claims that look at once would take the same volume, and one would have to step back.
  await runController({ ...o, name: NAME, queue, reconcile, after: binder.informers }, signal);
}

class Binder {
  readonly #o: ControllerParts;
  readonly #recorder: EventRecorder;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #claims: Informer<PersistentVolumeClaim>;
  readonly #world: World;
  readonly informers: readonly { whenSynced(signal: AbortSignal): Promise<void> }[];
  /** What was last said of it: said once, not at every look. */
  readonly #said = new Map<string, string>();

  constructor(o: ControllerParts, queue: WorkQueue, recorder: EventRecorder) {
    this.#o = o;
    this.#recorder = recorder;
    const volumes = o.informers.of(persistentVolumes);
    const claims = o.informers.of(persistentVolumeClaims);
    const classes = o.informers.of(storageClasses);
    const machines = o.informers.of(nodes);
    [this.#volumes, this.#claims] = [volumes, claims];
    this.informers = [volumes, claims, classes, machines];
    this.#world = {
      volume: (name) => volumes.get(name),
      volumes: () => volumes.list(),
      claim: (namespace, name) => claims.get(makeKey(namespace, name)),
      class: (name) => classes.get(name),
      classes: () => classes.list(),
      node: (name) => machines.get(name),
      nodes: () => machines.list(),
      now: () => o.clock.now(),
    };
    this.#follow(queue);
    classes.onChange(() => this.#wakeUnbound(queue));
    machines.onChange((node, now, old) => {
      const directory = (n: typeof now) => n?.metadata.annotations?.[VOLUMES_DIRECTORY];
      if (now && old && directory(now) === directory(old)) return;
      this.#wakeUnbound(queue);
      if (now) return;
      for (const v of volumes.list()) if (v.metadata.labels?.[VOLUME_NODE] === node) queue.add(volumeKey(nameOf(v)));
    });
  }

  #follow(queue: WorkQueue): void {
    this.#claims.onChange((key, now, old) => {
      queue.add(claimKey(key));
      const name = now?.spec?.volumeName || old?.spec?.volumeName;
      if (name) queue.add(volumeKey(name));
      // Also those that were reserved for it and did not get it.
      if (now && old && now.spec?.volumeName === old.spec?.volumeName) return;
      for (const { spec, metadata } of this.#volumes.list()) {
        if (spec?.claimRef && makeKey(spec.claimRef.namespace, spec.claimRef.name ?? "") === key) {
          queue.add(volumeKey(metadata.name ?? ""));
        }
      }
    });
    this.#volumes.onChange((name, now, old) => {
      queue.add(volumeKey(name));
      for (const ref of [now?.spec?.claimRef, old?.spec?.claimRef]) {
        if (ref) queue.add(claimKey(makeKey(ref.namespace, ref.name ?? "")));
      }
      for (const claim of now ? [] : this.#claims.list()) {
        if (claim.spec?.volumeName === name) queue.add(claimKey(keyOf(claim)));
      }
      if (now?.status?.phase === "Available") this.#wakeUnbound(queue);
    });
  }

  #wakeUnbound(queue: WorkQueue): void {
    for (const claim of this.#claims.list()) if (!isBound(claim)) queue.add(claimKey(keyOf(claim)));
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const [type, name] = key.startsWith("claim:")
      ? (["claim", key.slice(6)] as const)
      : (["volume", key.slice(7)] as const);
    for (let step = 0; step < MAX_STEPS; step++) {
      const object = type === "claim" ? this.#claims.get(name) : this.#volumes.get(name);
      if (!object) {
        this.#said.delete(key);
        return "done";
      }
      const plan: Plan = type === "claim" ? planClaim(object, this.#world) : planVolume(object, this.#world);
      const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object: `${type}s/${name}` });
      if (plan.write) await this.#do(plan.write, cause(plan.write.reason), signal);
      if (plan.event) this.#say(key, object, plan.event);
      if (!plan.write || plan.write.type === "deleteVolume") return "done";
    }
    return { againAfterMs: 0 };
  }

  #say(key: string, object: DeepReadonly<PersistentVolume | PersistentVolumeClaim>, e: PlanEvent): void {
    const text = `${uidOf(object)}/${e.reason}/${e.message}`;
    if (this.#said.get(key) === text) return;
    this.#said.set(key, text);
    const ref = key.startsWith("claim:") ? persistentVolumeClaims : persistentVolumes;
    this.#recorder.event(subjectOf(ref, object), e.type, e.reason, e.message);
  }

  async #do(w: Write, cause: Cause, signal: AbortSignal): Promise<void> {
    const volumes = this.#o.client.resource(persistentVolumes);
    switch (w.type) {
      case "createVolume":
        return this.#volumes.whenShows(await volumes.create(w.volume, { cause }), signal);
      case "updateVolume":
        return this.#volumes.whenShows(await volumes.update(w.volume, { cause }), signal);
      case "updateVolumeStatus":
        if (w.volume.status?.phase === "Released") await this.#makeSureOfLoss(w.volume);
        return this.#volumes.whenShows(await volumes.updateStatus(w.volume, { cause }), signal);
      case "deleteVolume":
        return volumes.delete(nameOf(w.volume), { preconditions: { uid: uidOf(w.volume) }, cause });
      case "updateClaim":
      case "updateClaimStatus": {
        const claims = this.#o.client.resource(persistentVolumeClaims, namespaceOf(w.claim));
        const answer = await (w.type === "updateClaim"
          ? claims.update(w.claim, { cause })
          : claims.updateStatus(w.claim, { cause }));
        return this.#claims.whenShows(answer, signal);
      }
    }
  }

  /** What is Released may be removed. So the server is asked, not a copy that may be behind. Throws when the claim is there. */
  async #makeSureOfLoss({ spec, metadata }: ReadonlyVolume): Promise<void> {
    const { namespace = "", name = "", uid } = spec?.claimRef ?? {};
    try {
      const claim = await this.#o.client.resource(persistentVolumeClaims, namespace).get(name);
      if (uidOf(claim) === uid && claim.spec?.volumeName === metadata.name) {
        throw new Error(`claim ${namespace}/${name} is there after all`);
      }
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
}
