/** Keeps the EndpointSlices of every Service that has a selector. */
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { makeKey, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isHeadless } from "../../api/service.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import { enqueueServices, podsOf, servicesOf } from "../endpoints/services.ts";
import { HEADLESS, hasEndpoints, type ReadonlyService } from "../endpoints/targets.ts";
import type { ControllerParts } from "../parts.ts";
import { ownerReference } from "../workload/pods.ts";
import { planSlices, type SliceTemplate } from "./plan.ts";
import { MANAGED_BY, SERVICE_NAME, writeSlices } from "./slices.ts";
import { fromPods } from "./wanted.ts";

const NAME = "endpointslice-controller";
const MANAGER = "endpointslice-controller.k8s.io";
const ZONE = "topology.kubernetes.io/zone";
const FAMILIES = ["IPv4", "IPv6"];

/** Runs until the signal aborts. Keys are those of Services. */
export async function runEndpointSliceController(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const all = { services: o.informers.of(services), pods: o.informers.of(pods) };
  const [machines, slices] = [o.informers.of(nodes), o.informers.of(endpointSlices)];
  const queue = new WorkQueue(o);
  enqueueServices(queue, all);
  machines.onChange((name, now, old) => {
    const same = now && old && now.metadata.labels?.[ZONE] === old.metadata.labels?.[ZONE];
    if (same) return;
    for (const pod of all.pods.byIndex("node", name)) for (const key of servicesOf(all, pod)) queue.add(key);
  });
  slices.onChange((_, now, old) => {
    const { labels, namespace } = (now ?? old)?.metadata ?? {};
    if (labels?.[MANAGED_BY] === MANAGER) queue.add(makeKey(namespace, labels[SERVICE_NAME] ?? ""));
  });

  const reconcile: Reconcile = async (key, s, { reconcileId }) => {
    const service = all.services.get(key);
    // What is left of one that is gone goes with its owner.
    if (!service || !hasEndpoints(service)) return "done";
    const selected = podsOf(all, service);
    const own = slices
      .byIndex("controller", uidOf(service))
      .filter((x) => x.metadata.labels?.[MANAGED_BY] === MANAGER && x.metadata.deletionTimestamp === undefined);
    const families = service.spec?.ipFamilies ?? FAMILIES.slice(0, 1);
    for (const family of FAMILIES) {
      const present = own.filter((x) => x.addressType === family);
      const plan = families.includes(family)
        ? planSlices(
            templateFor(service, family),
            fromPods(service, selected, family, (n) => machines.get(n)),
            present,
          )
        : { create: [], update: [], delete: present };
      const cause = { component: NAME, reconcileId, reason: "EndpointsChanged", object: `services/${key}` };
      await writeSlices({ client: o.client, slices, namespace: namespaceOf(service) }, plan, cause, s);
    }
    return "done";
  };

  const after = [all.services, all.pods, machines, slices];
  await runController({ ...o, name: NAME, queue, reconcile, workers: 5, after }, signal);
}

function templateFor(service: ReadonlyService, addressType: string): SliceTemplate {
  const { [HEADLESS]: _, ...labels } = service.metadata.labels ?? {};
  return {
    name: nameOf(service),
    namespace: namespaceOf(service),
    labels: {
      ...labels,
      [SERVICE_NAME]: nameOf(service),
      [MANAGED_BY]: MANAGER,
      ...(service.spec && isHeadless(service.spec) && { [HEADLESS]: "" }),
    },
    owner: ownerReference(services as ResourceRef, service),
    addressType,
  };
}
