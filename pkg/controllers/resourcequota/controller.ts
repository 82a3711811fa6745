/**
 * Finds what was freed: counts what a ResourceQuota's objects use, and writes it down. Admission charges a quota in the
 * transaction that makes an object, so a count of all objects, taken after the quota was read and written only if nobody
 * has charged it since, is never too low (Q3 of apiserver/admission/quota).
 */
import type { Pod } from "../../api/generated/types.ts";
import { resourceQuotas } from "../../api/kinds/core/resourcequota.ts";
import { type ApiObject, makeKey, nameOf, namespaceOf, splitKey } from "../../api/object.ts";
import { isTerminal } from "../../api/pod.ts";
import { countName, countedKinds } from "../../api/quota/usage.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { isCounted, type Objects, planQuota } from "./plan.ts";

const NAME = "resourcequota-controller";
/** What goes together is counted together. */
const GATHER_MS = 200;
/** Somebody may have changed the store behind our back. */
const RESYNC_MS = 5 * 60_000;

type Object_ = DeepReadonly<ApiObject> | undefined;

/** Runs until the signal aborts. Keys are those of quotas. */
export async function runResourceQuotaController(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const quotas = o.informers.of(resourceQuotas);
  const queue = new WorkQueue(o);
  const watched = new Set<string>();

  const freed = (kind: ResourceRef) => (_: string, now: Object_, old: Object_) => {
    if (!old || !mayFree(kind, now, old)) return;
    const namespace = namespaceOf(old);
    for (const q of quotas.byIndex("namespace", namespace)) {
      const counts = countedKinds(q.spec?.hard).some((k) => countName(k) === countName(kind));
      if (counts) queue.addAfter(makeKey(namespace, nameOf(q)), GATHER_MS);
    }
  };
  const kindsOf = (hard: Readonly<Record<string, string>> | undefined) => {
    const all = o.kinds.all();
    return countedKinds(hard).flatMap((k) => all.find((ref) => countName(ref) === countName(k)) ?? []);
  };
  quotas.onChange((key, now) => {
    if (!now) return;
    for (const kind of kindsOf(now.spec?.hard)) {
      const name = countName(kind);
      if (watched.has(name)) continue;
      watched.add(name);
      o.informers.of(kind).onChange(freed(kind));
    }
    if (!isCounted(now)) queue.add(key);
  });

  const reconcile: Reconcile = async (key, _, { reconcileId }) => {
    const { namespace, name } = splitKey(key);
    const api = o.client.resource(resourceQuotas, namespace);
    try {
      // First the quota, then what it counts: what is charged in between makes the write fail.
      const quota = await api.get(name);
      if (quota.metadata.deletionTimestamp) return "done";
      const objects: Objects[] = [];
      for (const kind of kindsOf(quota.spec?.hard)) {
        objects.push({ kind, items: (await o.client.resource(kind, namespace).list()).items });
      }
      const status = planQuota(quota, objects, o.clock.now());
      const cause = { component: NAME, reconcileId, reason: "QuotaCounted", object: `resourcequotas/${key}` };
      if (status) await api.updateStatus({ ...quota, status }, { cause });
    } catch (error) {
      if (isReason(error, "NotFound")) return "done";
      throw error;
    }
    return { againAfterMs: RESYNC_MS };
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 4, after: [quotas, o.kinds] }, signal);
}

/** Whether less may be used than before: it is gone, or (a Pod) has ended, or (a claim, a Service) has changed. */
function mayFree({ group, plural }: ResourceRef, now: Object_, old: DeepReadonly<ApiObject>): boolean {
  if (!now) return true;
  if (group !== "") return false;
  if (plural === "pods") return isTerminal(now as DeepReadonly<Pod>) && !isTerminal(old as DeepReadonly<Pod>);
  return plural === "services" || plural === "persistentvolumeclaims";
}
