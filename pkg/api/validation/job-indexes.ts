/** Indexes of an indexed Job, written as `1,3-5,7`: each once, in order, below the number of completions. */

interface Interval {
  readonly first: number;
  readonly last: number;
}

/** How many there are, or what is wrong. */
export function countIndexes(text: string, completions: number): number | string {
  const intervals = parse(text, completions);
  return typeof intervals === "string" ? intervals : intervals.reduce((n, i) => n + i.last - i.first + 1, 0);
}

/** The first index in both texts; one that cannot be read has none. */
export function firstCommonIndex(a: string, b: string, completions: number): number | undefined {
  const [x, y] = [parse(a, completions), parse(b, completions)];
  if (typeof x === "string" || typeof y === "string") return undefined;
  for (const i of x) {
    const other = y.find((j) => i.first <= j.last && j.first <= i.last);
    if (other) return Math.max(i.first, other.first);
  }
  return undefined;
}

function parse(text: string, completions: number): readonly Interval[] | string {
  const intervals: Interval[] = [];
  for (const part of text === "" ? [] : text.split(",")) {
    const next = parseInterval(part, completions);
    if (typeof next === "string") return next;
    const previous = intervals.at(-1);
    if (previous && previous.last >= next.first) return notIncreasing(previous.last, next.first);
    intervals.push(next);
  }
  return intervals;
}

function parseInterval(text: string, completions: number): Interval | string {
  const parts = text.split("-");
  if (parts.length > 2) {
    return `the fragment ${JSON.stringify(text)} violates the requirement that an index interval can have at most two parts separated by '-'`;
  }
  for (const part of parts) {
    if (!/^\d+$/.test(part)) return `cannot convert string to integer for index: ${JSON.stringify(part)}`;
    if (Number(part) >= completions) return `too large index: ${JSON.stringify(part)}`;
  }
  const [first = 0, last] = parts.map(Number);
  return last !== undefined && first >= last ? notIncreasing(first, last) : { first, last: last ?? first };
}

function notIncreasing(previous: number, current: number): string {
  return `non-increasing order, previous: ${previous}, current: ${current}`;
}
