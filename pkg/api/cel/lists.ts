/** Functions on lists: Kubernetes' own and those of cel-go's extension. */
import type { Environment } from "@marcbachmann/cel-js";
import { meter } from "./budget.ts";
import { define } from "./define.ts";
import { equalValues } from "./equal.ts";

type Ordered = string | number | bigint | boolean | { valueOf(): number | bigint };
type List = readonly unknown[];

/** What a function may make of a small argument. */
const MAX_LENGTH = 100_000;

export function registerLists(env: Environment): void {
  define(env, "list.isSorted(): bool", (list: readonly Ordered[]) =>
    list.every((item, i) => i === 0 || (list[i - 1] ?? item) <= item),
  );
  define(env, "list<T>.sum(): T", sum);
  define(env, "list<T>.min(): T", (list: readonly Ordered[]) => extreme("min", list, (a, b) => a < b));
  define(env, "list<T>.max(): T", (list: readonly Ordered[]) => extreme("max", list, (a, b) => a > b));
  define(env, "list.indexOf(dyn): int", (list: List, v: unknown) =>
    BigInt(list.findIndex((item) => equalValues(item, v))),
  );
  define(env, "list.lastIndexOf(dyn): int", (list: List, v: unknown) =>
    BigInt(list.findLastIndex((item) => equalValues(item, v))),
  );
  define(env, "list<T>.distinct(): list<T>", distinct);
  define(env, "list<T>.reverse(): list<T>", (list: List) => list.toReversed());
  define(env, "list<T>.sort(): list<T>", (list: readonly Ordered[]) =>
    list.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
  );
  define(env, "list<T>.slice(int, int): list<T>", slice);
  define(env, "list.flatten(): list<dyn>", (list: List) => list.flat(1));
  define(env, "list.flatten(int): list<dyn>", flatten);
  env.registerType("ListsNamespace", ListsNamespace);
  env.registerConstant("lists", "ListsNamespace", new ListsNamespace());
  define(env, "ListsNamespace.range(int): list<int>", (_: unknown, to: bigint) => range(to));
}

class ListsNamespace {}

interface Addable {
  addDuration(other: unknown): Addable;
}

/** Of nothing: the integer zero, for the type is not known here. */
function sum(list: readonly (number | bigint | Addable)[]): unknown {
  const [first, ...rest] = list;
  if (first === undefined) return 0n;
  return rest.reduce((total: number | bigint | Addable, item) => {
    if (typeof total === "bigint") return total + BigInt(item as bigint);
    return typeof total === "number" ? total + Number(item) : total.addDuration(item);
  }, first);
}

function extreme(name: string, list: readonly Ordered[], better: (a: Ordered, b: Ordered) => boolean): Ordered {
  const [first, ...rest] = list;
  if (first === undefined) throw new RangeError(`${name} called on empty list`);
  return rest.reduce((best, item) => (better(item, best) ? item : best), first);
}

function distinct(list: List): List {
  meter.spend((list.length * list.length) / 10);
  return list.filter((item, i) => list.findIndex((other) => equalValues(other, item)) === i);
}

function slice(list: List, from: bigint, to: bigint): List {
  if (from < 0n || to < 0n) throw new RangeError(`cannot slice(${from}, ${to}), negative indexes not supported`);
  if (from > to)
    throw new RangeError(`cannot slice(${from}, ${to}), start index must be less than or equal to end index`);
  if (to > BigInt(list.length)) throw new RangeError(`cannot slice(${from}, ${to}), list is length ${list.length}`);
  return list.slice(Number(from), Number(to));
}

function flatten(list: List, depth: bigint): List {
  if (depth < 0n) throw new RangeError("level must be non-negative");
  return (list as unknown[]).flat(Number(depth < 100n ? depth : 100n));
}

function range(to: bigint): List {
  if (to > BigInt(MAX_LENGTH)) throw new RangeError(`range(${to}) is longer than ${MAX_LENGTH}`);
  meter.spend(Number(to));
  return Array.from({ length: Math.max(0, Number(to)) }, (_, i) => BigInt(i));
}
