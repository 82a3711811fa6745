/** What an API server tells its administrators beside the API: its log levels, and how its store is. */
import { badRequest } from "../../pkg/api/status.ts";
import type { DebugPages } from "../../pkg/apiserver/debug.ts";
import type { Store } from "../../pkg/store/store.ts";
import type { LogLevels } from "./log-levels.ts";

/** From this verbosity on, Kubernetes' components log what is for finding faults. */
const KLOG_DEBUG = 4;

/** `store`: asked at each look, so beside its cache. */
export function debugPages(level: LogLevels, store: Pick<Store, "maintenance">): DebugPages {
  const levels = () => JSON.stringify(level.report());
  return {
    "/debug/log-level": {
      GET: levels,
      PUT: (spec) => {
        level.set(spec);
        return levels();
      },
    },
    // As kubectl's users know it: `kubectl get --raw` cannot write, curl can.
    "/debug/flags/v": {
      PUT: (text) => {
        const v = Number(text);
        if (!/^\d{1,2}$/.test(text)) throw badRequest(`${JSON.stringify(text)}: a verbosity is a number from 0 to 10`);
        level.set(v >= KLOG_DEBUG ? "debug" : "info");
        return `successfully set klog.logging.verbosity to ${v}`;
      },
    },
    "/debug/store": { GET: async () => JSON.stringify((await store.maintenance?.status()) ?? {}) },
  };
}
