/** From a change of a Pod to the Services whose endpoints it touches. */
import { deepEqual } from "../../api/equal.ts";
import type { Pod, Service } from "../../api/generated/types.ts";
import { keyOf, namespaceOf } from "../../api/object.ts";
import { fromLabelSelector, matchesLabels } from "../../api/selectors.ts";
import type { Informer } from "../../informer/informer.ts";
import type { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { hasEndpoints, type ReadonlyService, visible } from "./targets.ts";

type ReadonlyPod = DeepReadonly<Pod>;

export interface ServicesAndPods {
  readonly services: Informer<Service>;
  readonly pods: Informer<Pod>;
}

/** Adds the key of a Service at once, without gathering: what comes while one is in work is gathered by the queue. */
export function enqueueServices(queue: WorkQueue, o: ServicesAndPods): void {
  o.services.onChange((key) => queue.add(key));
  o.pods.onChange((_, now, old) => {
    if (now && old && deepEqual(visible(now), visible(old))) return;
    const keys = new Set([now, old].flatMap((pod) => (pod ? servicesOf(o, pod) : [])));
    for (const key of keys) queue.add(key);
  });
}

/** Keys of the Services that select the Pod. */
export function servicesOf({ services }: ServicesAndPods, pod: ReadonlyPod): readonly string[] {
  return services.byIndex("namespace", namespaceOf(pod)).flatMap((s) => (selects(s, pod) ? [keyOf(s)] : []));
}

export function podsOf({ pods }: ServicesAndPods, service: ReadonlyService): readonly ReadonlyPod[] {
  return pods.byIndex("namespace", namespaceOf(service)).filter((pod) => selects(service, pod));
}

function selects(service: ReadonlyService, pod: ReadonlyPod): boolean {
  const selector = fromLabelSelector({ matchLabels: service.spec?.selector });
  return hasEndpoints(service) && selector !== undefined && matchesLabels(selector, pod.metadata.labels);
}
