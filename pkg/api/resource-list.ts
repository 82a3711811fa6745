/** Sums of resource lists (`cpu: 500m`, `memory: 1Gi`), exact, keeping the family of suffixes each was written in. */
import type { DeepReadonly } from "../util/types.ts";
import type { PodSpec } from "./generated/types.ts";
import { isRestartableInit } from "./pod.ts";
import { addQuantities, formatQuantity, isQuantity, parseQuantity, type Quantity } from "./quantity.ts";

/** As in an object. */
export type WrittenList = Readonly<Record<string, string>>;
/** By resource name. */
export type ResourceList = ReadonlyMap<string, Quantity>;

/** What is no quantity is left out: validation has reported it. */
export function parseList(written: WrittenList | undefined): Map<string, Quantity> {
  const valid = Object.entries(written ?? {}).filter(([, value]) => isQuantity(value));
  return new Map(valid.map(([name, value]) => [name, parseQuantity(value)]));
}

/** In canonical form. */
export function writeList(list: ResourceList): Record<string, string> {
  return Object.fromEntries([...list].map(([name, q]) => [name, formatQuantity(q)]));
}

/** `pods=1,requests.cpu=500m`: as messages show it, by name. */
export function showList(list: ResourceList): string {
  const names = [...list.keys()].sort();
  return names.map((name) => `${name}=${formatQuantity(list.get(name) ?? ZERO)}`).join(",");
}

export const ZERO: Quantity = { nano: 0n, format: "DecimalSI" };

export function count(n: number): Quantity {
  return { nano: BigInt(n) * 1_000_000_000n, format: "DecimalSI" };
}

export function addLists(a: ResourceList, b: ResourceList): Map<string, Quantity> {
  const sum = new Map(a);
  for (const [name, q] of b) sum.set(name, addQuantities(sum.get(name) ?? { ...q, nano: 0n }, q));
  return sum;
}

/** `a - b` for the names of `a`; never below zero. */
export function subtractLists(a: ResourceList, b: ResourceList): Map<string, Quantity> {
  const left = (q: Quantity, less: bigint) => ({ ...q, nano: q.nano > less ? q.nano - less : 0n });
  return new Map([...a].map(([name, q]) => [name, left(q, b.get(name)?.nano ?? 0n)]));
}

export function raiseTo(a: ResourceList, b: ResourceList): Map<string, Quantity> {
  const most = new Map(a);
  for (const [name, q] of b) if (q.nano > (most.get(name)?.nano ?? -1n)) most.set(name, q);
  return most;
}

export function only(list: ResourceList, keep: (name: string, q: Quantity) => boolean): Map<string, Quantity> {
  return new Map([...list].filter(([name, q]) => keep(name, q)));
}

/** Same names, same amounts. */
export function equalLists(a: ResourceList, b: ResourceList): boolean {
  return a.size === b.size && [...a].every(([name, q]) => b.get(name)?.nano === q.nano);
}

/** Resources that a Pod may state for itself, above what its containers say. */
const POD_LEVEL: ReadonlySet<string> = new Set(["cpu", "memory"]);

/**
 * The most that all containers together ask for at any moment of the Pod's life: init containers run one by one, each
 * beside the sidecars started before it. Without overhead.
 */
export function podResources(spec: DeepReadonly<PodSpec>, of: "requests" | "limits"): ResourceList {
  let sidecars: ResourceList = new Map();
  let peak: ResourceList = new Map();
  for (const c of spec.initContainers ?? []) {
    const own = parseList(c.resources?.[of]);
    const together = addLists(sidecars, own);
    if (isRestartableInit(c)) sidecars = together;
    peak = raiseTo(peak, together);
  }
  const steady = (spec.containers ?? []).reduce((sum, c) => addLists(sum, parseList(c.resources?.[of])), sidecars);
  const whole = only(parseList(spec.resources?.[of]), (name) => POD_LEVEL.has(name));
  return new Map([...raiseTo(peak, steady), ...whole]);
}
