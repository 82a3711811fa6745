/**
 * Keeps what is in use: a claim that a Pod on a node refers to, and a volume that has a claim, are deleted only when that
 * is over. Each has a finalizer from its first moment, which goes when nobody needs the object any more.
 */
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../../api/generated/types.ts";
import { persistentVolumes } from "../../api/kinds/core/persistentvolume.ts";
import { persistentVolumeClaims } from "../../api/kinds/core/persistentvolumeclaim.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { type ApiObject, makeKey, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import { claimsOf } from "../../api/volumes.ts";
import { runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";

const LOOK_AGAIN_MS = 10_000;

interface Protection<T extends ApiObject> {
  readonly name: string;
  readonly ref: ResourceRef<T>;
  readonly finalizer: string;
  /** As the server sees it, for what is let go is lost. */
  readonly inUse: (o: DeepReadonly<T>, signal: AbortSignal) => Promise<boolean> | boolean;
}

export async function runVolumeProtection(o: ControllerParts, signal: AbortSignal): Promise<void> {
  await protect<PersistentVolume>(o, new WorkQueue(o), signal, {
    name: "pv-protection-controller",
    ref: persistentVolumes,
    finalizer: "kubernetes.io/pv-protection",
    inUse: (volume) => volume.status?.phase === "Bound",
  });
}

export async function runClaimProtection(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  o.informers.of(pods).onChange((_, now, old) => {
    if (now && now.spec?.nodeName === old?.spec?.nodeName) return;
    const pod = now ?? old;
    for (const { claim } of pod ? claimsOf(pod) : []) queue.add(makeKey(pod?.metadata.namespace, claim));
  });
  await protect<PersistentVolumeClaim>(o, queue, signal, {
    name: "pvc-protection-controller",
    ref: persistentVolumeClaims,
    finalizer: "kubernetes.io/pvc-protection",
    inUse: async (claim, s) => {
      const { items } = await o.client.resource(pods, namespaceOf(claim)).list({}, s);
      return items.some((pod) => uses(pod, nameOf(claim)));
    },
  });
}

/** No agent starts a Pod whose claim is being deleted: so one that has no node yet does not count. */
function uses(pod: DeepReadonly<Pod>, claim: string): boolean {
  return Boolean(pod.spec?.nodeName) && claimsOf(pod).some((c) => c.claim === claim);
}

async function protect<T extends ApiObject>(
  o: ControllerParts,
  queue: WorkQueue,
  signal: AbortSignal,
  p: Protection<T>,
): Promise<void> {
  const informer = o.informers.of(p.ref);
  informer.onChange((key, now) => now && queue.add(key));
  const reconcile = async (key: string, s: AbortSignal, { reconcileId }: { reconcileId: string }) => {
    const object = informer.get(key);
    if (!object) return "done" as const;
    const { metadata } = object as DeepReadonly<ApiObject>;
    const { finalizers = [], deletionTimestamp } = metadata;
    const held = finalizers.includes(p.finalizer);
    const leaving = deletionTimestamp !== undefined;
    if (leaving !== held) return "done" as const;
    // Who uses it may come and go without our copy of Pods ever showing it: so not only changes lead here.
    if (leaving && (await p.inUse(object, s))) return { againAfterMs: LOOK_AGAIN_MS };
    const next = leaving ? finalizers.filter((f) => f !== p.finalizer) : [...finalizers, p.finalizer];
    const reason = leaving ? "NotInUse" : "Protected";
    const cause = { component: p.name, reconcileId, reason, object: `${p.ref.plural}/${key}` };
    try {
      const api = o.client.resource(p.ref, metadata.namespace);
      const answer = await api.update({ ...object, metadata: { ...metadata, finalizers: next } }, { cause });
      if (!leaving) await informer.whenShows(answer, s);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
    return "done" as const;
  };
  await runController({ ...o, name: p.name, queue, reconcile, workers: 2, after: [informer] }, signal);
}
