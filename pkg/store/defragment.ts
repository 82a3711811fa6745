import type { StoreStatus } from "./store.ts";

export interface Thresholds {
  /** So much at least must be free in a member's file, and such a share of it. */
  readonly minFreeBytes: number;
  readonly minFreeShare: number;
}

export type DefragmentStep =
  | { readonly do: "defragment"; readonly endpoint: string; readonly name: string }
  | { readonly do: "disarm" };

export const THRESHOLDS: Thresholds = { minFreeBytes: 64 * 1024 * 1024, minFreeShare: 0.5 };

/** Where writes stop for want of space any gain will do that lets some through. */
const WHEN_FULL: Thresholds = { minFreeBytes: 1024 * 1024, minFreeShare: 0.05 };

/**
 * Pure: which members' files are to be written anew, one after the other, and the leader last, for each answers nobody
 * meanwhile; where a member ran out of space, its alarm afterwards. Nothing unless all are well: with one of three gone,
 * another that does not answer would stop the writes.
 */
export function planDefragment(status: StoreStatus, usual: Thresholds = THRESHOLDS): readonly DefragmentStep[] {
  const { members } = status;
  if (members.length === 0 || !members.every((m) => m.healthy)) return [];
  const full = members.some((m) => m.alarms.includes("NOSPACE"));
  const { minFreeBytes, minFreeShare } = full ? WHEN_FULL : usual;
  const worth = members.filter(({ dbSize, inUse }) => {
    const free = dbSize - inUse;
    return free >= minFreeBytes && free >= dbSize * minFreeShare;
  });
  const steps = worth
    .toSorted((a, b) => Number(a.leader) - Number(b.leader))
    .map(({ endpoint, name }) => ({ do: "defragment", endpoint, name }) as const);
  return full && steps.length > 0 ? [...steps, { do: "disarm" }] : steps;
}
