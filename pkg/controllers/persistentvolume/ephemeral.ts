/** Makes the claims of volumes that live only as long as their Pod; garbage collection takes them away with it. */
import { deepClone } from "../../api/equal.ts";
import type { PersistentVolumeClaim, Volume } from "../../api/generated/types.ts";
import { persistentVolumeClaims } from "../../api/kinds/core/persistentvolumeclaim.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { controllerOf, makeKey, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects } from "../workload/owned-objects.ts";
import { isActive, ownerReference, type ReadonlyPod } from "../workload/pods.ts";

const NAME = "ephemeral-volume-controller";

const hasEphemeral = (pod: ReadonlyPod) => isActive(pod) && (pod.spec?.volumes ?? []).some((v) => v.ephemeral);

/** Runs until the signal aborts. Keys are those of Pods. */
export async function runEphemeralVolumes(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const [all, claims] = [o.informers.of(pods), o.informers.of(persistentVolumeClaims)];
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const owned = new OwnedObjects({ client: o.client, ref: persistentVolumeClaims, informer: claims });
  all.onChange((key, now) => now && hasEphemeral(now) && queue.add(key));
  claims.onChange((_, now, old) => {
    const owner = !now && old && controllerOf(old);
    if (owner && owner.kind === "Pod") queue.add(makeKey(old.metadata.namespace, owner.name));
  });

  const reconcile: Reconcile = async (key, s, { reconcileId }) => {
    const pod = all.get(key);
    if (!pod || !hasEphemeral(pod)) return "done";
    const cause = { component: NAME, reconcileId, reason: "EphemeralVolume", object: `pods/${key}` };
    for (const volume of pod.spec?.volumes ?? []) {
      const claim = claimFor(pod, volume);
      if (!claim) continue;
      const found = claims.get(makeKey(namespaceOf(pod), nameOf(claim)));
      if (!found) await owned.create(claim, cause, s);
      else if (controllerOf(found)?.uid !== uidOf(pod)) {
        const message = `PVC ${namespaceOf(found)}/${nameOf(found)} was not created for pod ${key} (pod is not owner)`;
        recorder.event(subjectOf(pods, pod), "Warning", "FailedBinding", message);
      }
    }
    return "done";
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 4, after: [all, claims] }, signal);
}

function claimFor(pod: ReadonlyPod, { name, ephemeral }: DeepReadonly<Volume>): PersistentVolumeClaim | undefined {
  const template = ephemeral?.volumeClaimTemplate;
  if (!template) return undefined;
  const { labels, annotations } = deepClone(template.metadata ?? {});
  return {
    metadata: {
      name: `${nameOf(pod)}-${name}`,
      namespace: namespaceOf(pod),
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ownerReferences: [ownerReference(pods as ResourceRef, pod)],
    },
    spec: deepClone(template.spec),
  };
}
