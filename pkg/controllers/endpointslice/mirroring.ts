/** Shows Endpoints that a user keeps by hand, of a Service without selector, as EndpointSlices too. */
import type { Endpoints, Service } from "../../api/generated/types.ts";
import { endpoints } from "../../api/kinds/core/endpoints.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { controllerOf, makeKey, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { TRIGGER_TIME } from "../endpoints/targets.ts";
import type { ControllerParts } from "../parts.ts";
import { ownerReference } from "../workload/pods.ts";
import { planSlices, type SliceTemplate } from "./plan.ts";
import { MANAGED_BY, SERVICE_NAME, writeSlices } from "./slices.ts";
import { fromEndpoints } from "./wanted.ts";

const NAME = "endpointslice-mirroring-controller";
const MANAGER = "endpointslicemirroring-controller.k8s.io";
const SKIP = "endpointslice.kubernetes.io/skip-mirror";
/** Once Endpoints were what leaders were elected with. */
const LEADER = "control-plane.alpha.kubernetes.io/leader";
const APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** Runs until the signal aborts. Keys are those of Endpoints, which are those of their Services. */
export async function runEndpointSliceMirroring(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const [all, written, slices] = [o.informers.of(services), o.informers.of(endpoints), o.informers.of(endpointSlices)];
  const queue = new WorkQueue(o);
  all.onChange((key) => queue.add(key));
  written.onChange((key) => queue.add(key));
  slices.onChange((_, now, old) => {
    const seen = now ?? old;
    const owner = seen && controllerOf(seen);
    if (owner?.kind === "Endpoints") queue.add(makeKey(seen?.metadata.namespace, owner.name));
  });

  const reconcile: Reconcile = async (key, s, { reconcileId }) => {
    const source = written.get(key);
    if (!source) return "done";
    const own = slices
      .byIndex("controller", uidOf(source))
      .filter((x) => x.metadata.labels?.[MANAGED_BY] === MANAGER && x.metadata.deletionTimestamp === undefined);
    const mirrors = isMirrored(source, all.get(key));
    for (const family of ["IPv4", "IPv6"]) {
      const present = own.filter((x) => x.addressType === family);
      const groups = mirrors ? fromEndpoints(source, family) : [];
      const plan =
        groups.length > 0
          ? planSlices(templateFor(source, family), groups, present)
          : { create: [], update: [], delete: present };
      const cause = { component: NAME, reconcileId, reason: "EndpointsMirrored", object: `endpoints/${key}` };
      await writeSlices({ client: o.client, slices, namespace: namespaceOf(source) }, plan, cause, s);
    }
    return "done";
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 2, after: [all, written, slices] }, signal);
}

function isMirrored(
  { metadata: { labels, annotations, deletionTimestamp } }: DeepReadonly<Endpoints>,
  service: DeepReadonly<Service> | undefined,
): boolean {
  const skipped = labels?.[SKIP] === "true" || annotations?.[LEADER] !== undefined || deletionTimestamp !== undefined;
  return !skipped && service !== undefined && service.spec?.selector === undefined;
}

function templateFor(source: DeepReadonly<Endpoints>, addressType: string): SliceTemplate {
  const { [APPLIED]: _, [TRIGGER_TIME]: __, ...annotations } = source.metadata.annotations ?? {};
  return {
    name: nameOf(source),
    namespace: namespaceOf(source),
    labels: { ...source.metadata.labels, [SERVICE_NAME]: nameOf(source), [MANAGED_BY]: MANAGER },
    annotations,
    owner: ownerReference(endpoints as ResourceRef, source),
    addressType,
  };
}
