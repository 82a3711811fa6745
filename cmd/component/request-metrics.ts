/** What an API server counts. A module of its own: loaded when the API answers already. */
import { RequestMetrics } from "../../pkg/apiserver/request-metrics.ts";
import { resourceName } from "../../pkg/api/not-honoured.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import type { Metrics } from "../../pkg/util/metrics.ts";
import type { ControlPlane } from "./control-plane.ts";
import { storeMetrics } from "./store-metrics.ts";

/** Counted from here on: nobody waits for it at the start. `metrics`: of the whole process, to be told with them. */
export function requestMetrics({ api, store }: Pick<ControlPlane, "api" | "store">, metrics?: Metrics): RequestMetrics {
  const stored = () => api.resources.all.filter((d) => !d.virtual && !d.view);
  const objects = () => stored().map((d) => [resourceName(d), [...api.view.list(d)].length] as const);
  const counted = new RequestMetrics({ clock: systemClock, objects, metrics });
  storeMetrics(store.maintenance, counted.metrics);
  return counted;
}
