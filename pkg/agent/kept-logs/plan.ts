/** Which kept logs have had their time. Pure. */
import type { KeptLogEntry } from "../../api/kept-logs.ts";

export type KeptLog = KeptLogEntry;

export interface KeptLogSettings {
  readonly maxAgeMs: number;
  /** Of all together on this node. 0: none is kept. */
  readonly maxBytes: number;
  /** Of one: its end is kept. */
  readonly maxLogBytes: number;
}

export const KEPT_LOGS_DEFAULTS: KeptLogSettings = {
  maxAgeMs: 24 * 3_600_000,
  maxBytes: 256 * 2 ** 20,
  maxLogBytes: 2 ** 20,
};

/** Those that are too old, then the oldest until the others fit. */
export function planExpiry(logs: readonly KeptLog[], s: KeptLogSettings, now: number): readonly KeptLog[] {
  const newestFirst = logs.toSorted((a, b) => b.endedAt - a.endedAt);
  let bytes = 0;
  return newestFirst.filter((l) => {
    const fits = now - l.endedAt <= s.maxAgeMs && bytes + l.sizeBytes <= s.maxBytes;
    if (fits) bytes += l.sizeBytes;
    return !fits;
  });
}

/** The one meant by a Pod's name: of its newest bearer, the last attempt, or the one before. */
export function chooseKept(
  logs: readonly KeptLog[],
  o: { readonly container: string; readonly previous: boolean; readonly uid?: string | undefined },
): KeptLog | undefined {
  const newest = logs.toSorted((a, b) => b.endedAt - a.endedAt);
  const uid = o.uid ?? newest[0]?.uid;
  const attempts = newest
    .filter((l) => l.uid === uid && l.container === o.container)
    .toSorted((a, b) => b.attempt - a.attempt);
  return attempts[o.previous ? 1 : 0];
}
