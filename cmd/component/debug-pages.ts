/** What an API server tells its administrators beside the API: its log levels, its process, and how its store is. */
import { badRequest } from "../../pkg/api/status.ts";
import type { DebugPages } from "../../pkg/apiserver/debug.ts";
import type { Store } from "../../pkg/store/store.ts";
import { rfc3339 } from "../../pkg/util/clock.ts";
import type { LogLevels } from "./log-levels.ts";

/** From this verbosity on, Kubernetes' components log what is for finding faults. */
const KLOG_DEBUG = 4;

export interface DebugParts {
  readonly level: LogLevels;
  /** Asked at each look: beside its cache. */
  readonly store: Pick<Store, "maintenance">;
  /** Those that act in this process without a Lease: there are no others. */
  readonly components?: readonly string[];
}

export function debugPages({ level, store, components = [] }: DebugParts): DebugPages {
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
    "/debug/process": {
      GET: () =>
        JSON.stringify({
          pid: process.pid,
          startedAt: rfc3339(performance.timeOrigin),
          rssBytes: process.memoryUsage.rss(),
          components,
        }),
    },
    "/debug/store": { GET: async () => JSON.stringify((await store.maintenance?.status()) ?? {}) },
  };
}
