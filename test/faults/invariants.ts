/**
 * What holds whatever breaks. Each check gives one sentence for each violation; none: it held.
 *
 *  F1  Reads and writes of a register are linearizable.
 *  F2  No acknowledged write is lost: at the end each register holds the last of its writes, each object made is there.
 *  F3  The resourceVersion of a register never goes back.
 *  F4  Every watcher is told of every acknowledged write, once, in order, and of none that failed; where it had to list
 *      again, of the last write of each register.
 *  F5  Of the replicas of a component at most one acts.
 */
import { byKey, isWrite, type Operation, type Watched, type WriteCall } from "./history.ts";
import { describe, linearizabilityViolations } from "./linearizable.ts";

export interface Evidence {
  readonly history: readonly Operation[];
  readonly watched: readonly Watched[];
  /** Read when all was whole again: every register. */
  readonly final: ReadonlyMap<string, string>;
}

export function violations({ history, watched, final }: Evidence): string[] {
  const writes = history.filter(isWrite);
  return [
    ...linearizabilityViolations(history).map((v) => `not linearizable: ${v}`),
    ...lostWrites(writes, final).map((v) => `lost: ${v}`),
    ...revisionsBack(history).map((v) => `went back: ${v}`),
    ...watched.flatMap((w) => incomplete(w, writes)).map((v) => `watch: ${v}`),
  ];
}

/** F2. Of the acknowledged writes of a register the one with the highest resourceVersion is there, or a later one. */
export function lostWrites(writes: readonly WriteCall[], final: ReadonlyMap<string, string>): string[] {
  return [...byKey(writes)].flatMap(([key, all]) => {
    const acknowledged = all.filter((w) => w.outcome === "ok");
    const last = acknowledged.toSorted((a, b) => Number((a.revision ?? 0n) - (b.revision ?? 0n))).at(-1);
    if (!last) return [];
    const there = final.get(key);
    if (there === undefined) return [`${key}, though it was acknowledged: ${describe(last)}`];
    const unacknowledged = all.some((w) => w.value === there && w.outcome === "unknown");
    return there === last.value || unacknowledged ? [] : [`${key} is ${there}, but acknowledged was ${describe(last)}`];
  });
}

/** F3. Who asks after another was answered sees no older resourceVersion. */
export function revisionsBack(history: readonly Operation[]): string[] {
  return [...byKey(history)].flatMap(([key, all]) => {
    const answered = all.flatMap((o) =>
      o.outcome === "ok" && o.revision !== undefined ? [{ o, at: o.revision }] : [],
    );
    const byEnd = answered.toSorted((a, b) => a.o.end - b.o.end);
    let ended = 0;
    let newest: (typeof answered)[number] | undefined;
    const found: string[] = [];
    for (const next of answered.toSorted((a, b) => a.o.start - b.o.start)) {
      for (let done = byEnd[ended]; done && done.o.end < next.o.start; done = byEnd[++ended])
        if (!newest || done.at > newest.at) newest = done;
      if (newest && next.at < newest.at) found.push(`${key} from ${newest.at} to ${next.at}: ${describe(next.o)}`);
    }
    return found;
  });
}

/** F4. */
export function incomplete({ watcher, events, gaps }: Watched, writes: readonly WriteCall[]): string[] {
  const found: string[] = [];
  let last = -1n;
  for (const e of events) {
    if (e.revision <= last) found.push(`${watcher}: ${e.key} at ${e.revision} came after ${last}`);
    last = e.revision;
  }
  const told = new Map(events.map((e) => [`${e.key} ${e.value}`, e.revision]));
  const newest = new Map(events.map((e) => [e.key, e.revision]));
  const skipped = ({ key, revision = 0n }: WriteCall) =>
    (newest.get(key) ?? 0n) > revision && gaps.some(({ from, to }) => from < revision && revision <= to);
  for (const w of writes) {
    const revision = told.get(`${w.key} ${w.value}`);
    if (w.outcome === "failed" && revision !== undefined) found.push(`${watcher} saw what failed: ${describe(w)}`);
    if (w.outcome !== "ok" || skipped(w)) continue;
    if (revision === undefined) found.push(`${watcher} never saw ${describe(w)}`);
    else if (w.revision !== undefined && revision !== w.revision)
      found.push(`${watcher} saw at ${revision} what was written at ${w.revision}: ${describe(w)}`);
  }
  return found;
}

/** From when to when a replica led, by its own word; milliseconds. */
export interface Term {
  readonly component: string;
  readonly replica: string;
  readonly start: number;
  readonly end: number;
}

/** When a replica could do nothing: frozen. */
export interface Pause {
  readonly replica: string;
  readonly start: number;
  readonly end: number;
}

/** F5. Who is frozen does not act. Thawed, it finds its time over, and has `graceMs` to stop and say so. */
export function twoLeaders(terms: readonly Term[], pauses: readonly Pause[], graceMs: number): string[] {
  const acting = terms.flatMap((term) => {
    const frozen = pauses.filter((p) => p.replica === term.replica && p.start < term.end && p.end > term.start);
    return frozen.reduce<Term[]>((parts, p) => parts.flatMap((part) => without(part, p)), [term]);
  });
  const sorted = acting.toSorted((a, b) => a.start - b.start);
  return sorted.flatMap((a, i) =>
    sorted.slice(i + 1).flatMap((b) => {
      const overlap = Math.min(a.end, b.end) - b.start;
      if (a.component !== b.component || a.replica === b.replica || overlap <= graceMs) return [];
      return [`${a.component}: ${a.replica} and ${b.replica} both led for ${Math.round(overlap)} ms`];
    }),
  );
}

function without(term: Term, pause: Pause): Term[] {
  const parts = [
    { ...term, end: Math.min(term.end, pause.start) },
    { ...term, start: Math.max(term.start, pause.end) },
  ];
  return parts.filter((part) => part.end > part.start);
}

/** The longest time in which no write was acknowledged, within a span. */
export function longestPause(history: readonly Operation[], from: number, to: number): number {
  const ends = history.flatMap((o) =>
    o.op === "write" && o.outcome === "ok" && o.end > from && o.end < to ? [o.end] : [],
  );
  const points = [from, ...ends.toSorted((a, b) => a - b), to];
  return Math.max(...points.slice(1).map((at, i) => at - (points[i] ?? at)));
}
