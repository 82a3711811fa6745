/** Gives Services of type LoadBalancer their addresses, by a plan over all of them: they share the nodes' ports. */
import type { Node, Service } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { deepEqual } from "../../api/equal.ts";
import { keyOf, nameOf, namespaceOf } from "../../api/object.ts";
import { condition } from "../../api/pod.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isLoadBalancer } from "../../api/service.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { SERVICE_NAME } from "../endpointslice/slices.ts";
import { type LoadBalancerPlan, planLoadBalancers, takenPorts } from "./plan.ts";

const NAME = "service-lb-controller";
/** There is but one thing to look at: all of them. */
const ALL = "all";

/** Runs until the signal aborts. */
export async function runLoadBalancers(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const [all, machines, slices] = [o.informers.of(services), o.informers.of(nodes), o.informers.of(endpointSlices)];
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const concerns = (s: DeepReadonly<Service> | undefined) =>
    s !== undefined && (isLoadBalancer(s.spec ?? {}) || (s.status?.loadBalancer?.ingress ?? []).length > 0);
  all.onChange((_, now, old) => (concerns(now) || concerns(old)) && queue.add(ALL));
  machines.onChange((_, now, old) => {
    const said = (n: typeof now) => [n?.metadata.labels, n?.status?.addresses, ready(n), n?.status?.daemonEndpoints];
    if (!deepEqual(said(now), said(old))) queue.add(ALL);
  });
  slices.onChange((_, now, old) => {
    const slice = now ?? old;
    const service = all.get(`${slice?.metadata.namespace}/${slice?.metadata.labels?.[SERVICE_NAME]}`);
    if (service?.spec?.externalTrafficPolicy === "Local") queue.add(ALL);
  });
  const slicesOf = (s: DeepReadonly<Service>) =>
    slices.byIndex("namespace", namespaceOf(s)).filter((x) => x.metadata.labels?.[SERVICE_NAME] === nameOf(s));
  const told = new Map<string, string>();

  const reconcile: Reconcile = async (_, s, { reconcileId }) => {
    const taken = takenPorts(machines.list(), slicesOf({ metadata: { namespace: "default", name: "kubernetes" } }));
    for (const plan of planLoadBalancers({ services: all.list(), nodes: machines.list(), slicesOf, taken })) {
      const { service } = plan;
      const cause = { component: NAME, reconcileId, reason: "LoadBalancer", object: `services/${keyOf(service)}` };
      const api = o.client.resource<Service>(services, namespaceOf(service));
      const next = await api.updateStatus(withIngress(service, plan), { cause });
      tell(recorder, told, plan);
      await all.whenShows(next, s);
    }
    return "done";
  };
  await runController({ ...o, name: NAME, queue, reconcile, workers: 1, after: [all, machines, slices] }, signal);
}

const ready = (n: DeepReadonly<Node> | undefined) => condition(n?.status?.conditions, "Ready")?.status;

function withIngress(service: DeepReadonly<Service>, { ingress }: LoadBalancerPlan): DeepReadonly<Service> {
  const loadBalancer = ingress.length > 0 ? { ingress: [...ingress] } : {};
  return { ...service, status: { ...service.status, loadBalancer } };
}

/** Each reason once, as long as it lasts. */
function tell(
  recorder: EventRecorder,
  told: Map<string, string>,
  { service, refused, ingress }: LoadBalancerPlan,
): void {
  const subject = subjectOf(services as ResourceRef, service);
  const key = service.metadata.uid ?? "";
  if (refused === undefined) {
    told.delete(key);
    if (ingress.length > 0) recorder.event(subject, "Normal", "EnsuredLoadBalancer", "Ensured load balancer");
    return;
  }
  if (told.get(key) === refused) return;
  told.set(key, refused);
  recorder.event(subject, "Warning", "SyncLoadBalancerFailed", `Error syncing load balancer: ${refused}`);
}
