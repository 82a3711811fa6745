/** Unions and differences of IPv4 networks, as ranges that do not touch. Pure. */
import { formatIpv4, type Ipv4Cidr, sizeOf } from "../../util/ipv4.ts";

/** Both ends are in it. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

export const EVERYTHING: Range = { first: 0, last: 2 ** 32 - 1 };

export const rangeOf = (c: Ipv4Cidr): Range => ({ first: c.base, last: c.base + sizeOf(c.prefix) - 1 });

export function subtract(from: Range, holes: readonly Range[]): readonly Range[] {
  return holes.reduce<readonly Range[]>(
    (left, hole) =>
      left.flatMap((r) => {
        if (hole.last < r.first || hole.first > r.last) return [r];
        const below = { first: r.first, last: hole.first - 1 };
        const above = { first: hole.last + 1, last: r.last };
        return [below, above].filter((part) => part.first <= part.last);
      }),
    [from],
  );
}

/** In order; what overlaps or touches is one. */
export function union(ranges: readonly Range[]): readonly Range[] {
  const merged: Range[] = [];
  for (const r of ranges.toSorted((a, b) => a.first - b.first)) {
    const last = merged.at(-1);
    if (last && r.first <= last.last + 1)
      merged[merged.length - 1] = { first: last.first, last: Math.max(last.last, r.last) };
    else merged.push(r);
  }
  return merged;
}

/** As nft writes it. */
export const formatRange = ({ first, last }: Range): string =>
  first === last ? formatIpv4(first) : `${formatIpv4(first)}-${formatIpv4(last)}`;
