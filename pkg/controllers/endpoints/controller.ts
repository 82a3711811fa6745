/** Keeps the Endpoints of every Service that has a selector. */
import { endpoints } from "../../api/kinds/core/endpoints.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { services } from "../../api/kinds/core/service.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";
import { isManaged, planEndpoints } from "./plan.ts";
import { enqueueServices, podsOf } from "./services.ts";
import { hasEndpoints } from "./targets.ts";

const NAME = "endpoint-controller";

/** Runs until the signal aborts. Keys are those of Services, and of their Endpoints. */
export async function runEndpointsController(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const all = { services: o.informers.of(services), pods: o.informers.of(pods) };
  const written = o.informers.of(endpoints);
  const queue = new WorkQueue(o);
  enqueueServices(queue, all);
  written.onChange((key, now, old) => {
    const seen = now ?? old;
    if (seen && isManaged(seen)) queue.add(key);
  });

  const reconcile: Reconcile = async (key, s, { reconcileId }) => {
    const service = all.services.get(key);
    const old = written.get(key);
    const cause = { component: NAME, reconcileId, reason: "EndpointsChanged", object: `services/${key}` };
    if (!service) {
      // Those that somebody wrote by hand are of no use without it either.
      if (old) await o.client.resource(endpoints, namespaceOf(old)).delete(nameOf(old), { cause }).catch(ifGone);
      return "done";
    }
    if (!hasEndpoints(service)) return "done";
    const next = planEndpoints(service, podsOf(all, service), old);
    if (!next) return "done";
    const api = o.client.resource(endpoints, namespaceOf(service));
    const answer = await (old ? api.update(next, { cause }) : api.create(next, { cause })).catch(ifGone);
    if (answer) await written.whenShows(answer, s);
    return "done";
  };

  await runController(
    { ...o, name: NAME, queue, reconcile, workers: 5, after: [all.services, all.pods, written] },
    signal,
  );
}

/** Of a namespace on its way out, or of a Service that is gone by now: nothing is left to do. */
function ifGone(error: unknown): undefined {
  if (isReason(error, "NotFound")) return undefined;
  if (isReason(error, "Forbidden") && String((error as Error).message).includes("being terminated")) return undefined;
  throw error;
}
