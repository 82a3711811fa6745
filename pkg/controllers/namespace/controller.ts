/** Empties namespaces that are being deleted, then lets go of them. */
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { nameOf, type ApiObject } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import type { Cause } from "../../client/transport.ts";
import { runController, type Outcome } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { planNamespace, type Contents, type Remaining } from "./plan.ts";

const NAME = "namespace-controller";

/** Runs until the signal aborts. */
export async function runNamespaceController(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const api = o.client.resource(namespaces);
  const { kinds } = o;
  const informer = o.informers.of(namespaces);
  const queue = new WorkQueue(o);
  informer.onChange((key, now) => {
    if (now?.metadata.deletionTimestamp) queue.add(key);
  });

  const reconcile = async (key: string, _: AbortSignal, run: { reconcileId: string }): Promise<Outcome> => {
    const ns = informer.get(key);
    if (!ns?.metadata.deletionTimestamp) return "done";
    const cause: Cause = {
      component: NAME,
      reconcileId: run.reconcileId,
      reason: "NamespaceDeleted",
      object: `namespaces/${key}@${ns.metadata.resourceVersion ?? ""}`,
    };
    const contents = await empty(o.client, kinds.all(), nameOf(ns), cause);
    const action = planNamespace(ns, contents, o.clock.now());
    try {
      if (action.type === "finalize") {
        const body = { ...ns, apiVersion: "v1", kind: "Namespace", spec: { finalizers: action.finalizers } };
        await api.subresource(key, "finalize", body, "update", cause);
        return "done";
      }
      if (action.conditions)
        await api.updateStatus({ ...ns, status: { ...ns.status, conditions: action.conditions } }, { cause });
      return { againAfterMs: action.againAfterMs };
    } catch (error) {
      if (isReason(error, "NotFound")) return "done";
      throw error;
    }
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 4, after: [informer, kinds] }, signal);
}

/** Asks all that is in the namespace to go, and reports what has not gone yet. */
async function empty(
  client: Client,
  kinds: readonly ResourceRef[],
  namespace: string,
  cause: Cause,
): Promise<Contents> {
  const remaining: Remaining[] = [];
  const failures: string[] = [];
  await Promise.all(
    kinds
      .filter((ref) => ref.namespaced)
      .map(async (ref) => {
        try {
          const left = await emptyOne(client, ref, namespace, cause);
          if (left) remaining.push(left);
        } catch (error) {
          failures.push(`${qualified(ref)}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }),
  );
  // In the order of answers; conditions must not change with that.
  remaining.sort((a, b) => (a.resource < b.resource ? -1 : 1));
  return { remaining, failures: failures.sort() };
}

async function emptyOne(
  client: Client,
  ref: ResourceRef,
  namespace: string,
  cause: Cause,
): Promise<Remaining | undefined> {
  const api = client.resource(ref, namespace);
  let { items } = await api.list();
  if (items.some((o) => !o.metadata.deletionTimestamp)) {
    await api.deleteCollection({ propagationPolicy: "Background", cause });
    ({ items } = await api.list());
  }
  return items.length === 0 ? undefined : summary(qualified(ref), items);
}

function summary(resource: string, items: readonly DeepReadonly<ApiObject>[]): Remaining {
  const finalizers = new Map<string, number>();
  for (const o of items) for (const f of o.metadata.finalizers ?? []) finalizers.set(f, (finalizers.get(f) ?? 0) + 1);
  return { resource, count: items.length, finalizers: Object.fromEntries(finalizers) };
}

/** `pods.`, `deployments.apps`: as Kubernetes writes them here, with the dot before an empty group. */
function qualified(ref: ResourceRef): string {
  return `${ref.plural}.${ref.group}`;
}
