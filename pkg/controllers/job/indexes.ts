/** Sets of completion indexes, kept as ordered intervals: a Job may have a hundred thousand of them. Pure. */

interface Interval {
  readonly first: number;
  readonly last: number;
}

/** Ordered, apart from each other by at least one index. */
export type Indexes = readonly Interval[];

export const NO_INDEXES: Indexes = [];

/** `1,3-5,7` as a status has it. What lies at or beyond `completions` is forgotten: an elastic Job was scaled down. */
export function parseIndexes(text: string | undefined, completions: number): Indexes {
  const intervals = (text ?? "").split(",").flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined || Number(first) >= completions) return [];
    return [{ first: Number(first), last: Math.min(Number(last), completions - 1) }];
  });
  return merge(intervals);
}

/** Two neighbours are written apart (`3,4`), three together (`3-5`): as Kubernetes does. */
export function formatIndexes(indexes: Indexes): string {
  return indexes
    .map(({ first, last }) => (first === last ? `${first}` : `${first}${last === first + 1 ? "," : "-"}${last}`))
    .join(",");
}

export function countIn(indexes: Indexes): number {
  return indexes.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

export function hasIndex(indexes: Indexes, index: number): boolean {
  let [low, high] = [0, indexes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((indexes[middle]?.last ?? -1) < index) low = middle + 1;
    else high = middle;
  }
  return (indexes[low]?.first ?? Infinity) <= index;
}

export function withIndexes(indexes: Indexes, more: Iterable<number>): Indexes {
  const added = [...more].map((index) => ({ first: index, last: index }));
  return added.length === 0 ? indexes : merge([...indexes, ...added]);
}

export function unionOf(a: Indexes, b: Indexes): Indexes {
  return merge([...a, ...b]);
}

/** How many of `wanted` are in `indexes`. */
export function countCommon(indexes: Indexes, wanted: Indexes): number {
  return countIn(indexes) + countIn(wanted) - countIn(unionOf(indexes, wanted));
}

/** The first `count` indexes below `completions` that are not taken. Costs as much as it gives. */
export function firstFree(taken: Indexes, count: number, completions: number): readonly number[] {
  const free: number[] = [];
  let candidate = 0;
  for (const { first, last } of [...taken, { first: completions, last: completions }]) {
    while (candidate < Math.min(first, completions) && free.length < count) free.push(candidate++);
    candidate = last + 1;
  }
  return free;
}

function merge(intervals: readonly Interval[]): Indexes {
  const merged: { first: number; last: number }[] = [];
  for (const { first, last } of intervals.toSorted((a, b) => a.first - b.first)) {
    const previous = merged.at(-1);
    if (previous && first <= previous.last + 1) previous.last = Math.max(previous.last, last);
    else merged.push({ first, last });
  }
  return merged;
}
