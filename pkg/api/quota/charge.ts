/** What a write would do to one ResourceQuota: nothing, a charge, or more than it allows. */
import type { DeepReadonly } from "../../util/types.ts";
import type { ResourceQuota } from "../generated/types.ts";
import type { ApiObject } from "../object.ts";
import { nameOf } from "../object.ts";
import { addLists, only, parseList, type ResourceList, showList, subtractLists, writeList } from "../resource-list.ts";
import { inScopes } from "./scopes.ts";
import { type Counted, evaluatorOf } from "./usage.ts";

export type Charge =
  | { readonly verdict: "free" }
  | { readonly verdict: "charge"; readonly used: Record<string, string> }
  | { readonly verdict: "refuse"; readonly why: string };

const FREE: Charge = { verdict: "free" };

export interface Write {
  readonly kind: Counted;
  readonly next: DeepReadonly<ApiObject>;
  readonly old: DeepReadonly<ApiObject> | undefined;
  readonly now: number;
}

/** `used`: what the quota's objects use so far, by every name of `spec.hard`. */
export function chargeOf(quota: DeepReadonly<ResourceQuota>, used: ResourceList, w: Write): Charge {
  const evaluator = evaluatorOf(w.kind);
  const hard = parseList(quota.spec?.hard);
  const names = [...hard.keys()].filter(evaluator.covers);
  if (names.length === 0 || !inScopes(quota, w.kind, w.next)) return FREE;
  const unspecified = evaluator.unspecified?.(w.next, names);
  if (unspecified) return { verdict: "refuse", why: `failed quota: ${nameOf(quota)}: ${unspecified}` };
  const usage = evaluator.usage(w.next, w.now);
  const counted = w.old && inScopes(quota, w.kind, w.old);
  const more = counted && w.old ? subtractLists(usage, evaluator.usage(w.old, w.now)) : usage;
  const requested = only(more, (name, q) => hard.has(name) && q.nano !== 0n);
  if (requested.size === 0) return FREE;
  const next = addLists(used, requested);
  const exceeded = new Set([...requested.keys()].filter((n) => (next.get(n)?.nano ?? 0n) > (hard.get(n)?.nano ?? 0n)));
  if (exceeded.size === 0) return { verdict: "charge", used: writeList(next) };
  const show = (list: ResourceList) => showList(only(list, (name) => exceeded.has(name)));
  const why = `exceeded quota: ${nameOf(quota)}, requested: ${show(requested)}, used: ${show(used)}, limited: ${show(hard)}`;
  return { verdict: "refuse", why };
}

/** What all of these use of the quota, by every name of `spec.hard`. */
export function usedOf(
  quota: DeepReadonly<ResourceQuota>,
  objects: Iterable<readonly [Counted, DeepReadonly<ApiObject>]>,
  now: number,
): ResourceList {
  const hard = parseList(quota.spec?.hard);
  let used: ResourceList = new Map([...hard].map(([name, q]) => [name, { ...q, nano: 0n }]));
  for (const [kind, o] of objects) {
    if (!inScopes(quota, kind, o)) continue;
    const own = only(evaluatorOf(kind).usage(o, now), (name) => hard.has(name));
    used = addLists(used, own);
  }
  return used;
}
