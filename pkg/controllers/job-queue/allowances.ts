/** What the ResourceQuotas of a namespace leave to its Jobs. What is taken is subtracted. */
import type { Pod, ResourceQuota } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { formatQuantity } from "../../api/quantity.ts";
import { usedOf } from "../../api/quota/charge.ts";
import { inScopes } from "../../api/quota/scopes.ts";
import { evaluatorOf } from "../../api/quota/usage.ts";
import { parseList, raiseTo, type ResourceList } from "../../api/resource-list.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ReadonlyPod } from "../workload/pods.ts";

const PODS = { group: "", plural: "pods" };

export interface Allowance {
  readonly quota: DeepReadonly<ResourceQuota>;
  readonly hard: ResourceList;
  /** In thousand-millionths; below zero where it is booked before it is free. */
  readonly left: Map<string, bigint>;
}

/** The quota's own count may lag behind the Pods that are seen, or be ahead of them: the higher one is safe. */
export function allowanceOf(quota: DeepReadonly<ResourceQuota>, pods: readonly ReadonlyPod[], now: number): Allowance {
  const hard = parseList(quota.spec?.hard);
  const seen = usedOf(
    quota,
    pods.map((p) => [PODS, p] as const),
    now,
  );
  const used = raiseTo(seen, parseList(quota.status?.used));
  return { quota, hard, left: new Map([...hard].map(([name, q]) => [name, q.nano - (used.get(name)?.nano ?? 0n)])) };
}

/** What `count` such Pods take, by the names that this quota limits. */
export function chargeFor(
  a: Allowance,
  pod: DeepReadonly<Pod>,
  count: number,
  now: number,
): ReadonlyMap<string, bigint> {
  if (!inScopes(a.quota, PODS, pod)) return new Map();
  const usage = [...evaluatorOf(PODS).usage(pod, now)].filter(([name, q]) => a.hard.has(name) && q.nano > 0n);
  return new Map(usage.map(([name, q]) => [name, q.nano * BigInt(count)]));
}

/** Also below zero: that books it. */
export function takeFrom(a: Allowance, charge: ReadonlyMap<string, bigint>): void {
  for (const [name, n] of charge) a.left.set(name, (a.left.get(name) ?? 0n) - n);
}

/** `requests.cpu in quota team: 4 wanted, 2 of 8 free`, of what is not enough; undefined: all is. */
export function lackIn(a: Allowance, charge: ReadonlyMap<string, bigint>): string | undefined {
  const lacking = [...charge].filter(([name, n]) => n > (a.left.get(name) ?? 0n));
  if (lacking.length === 0) return undefined;
  return lacking.map(([name, n]) => describe(a, name, n)).join(", ");
}

/** Whether it is more than the quota would ever allow. */
export function exceeds(a: Allowance, charge: ReadonlyMap<string, bigint>): string | undefined {
  const over = [...charge].find(([name, n]) => n > (a.hard.get(name)?.nano ?? 0n));
  if (!over) return undefined;
  const [name, n] = over;
  const format = a.hard.get(name)?.format ?? "DecimalSI";
  const limit = formatQuantity(a.hard.get(name) ?? { nano: 0n, format });
  return `wants ${formatQuantity({ nano: n, format })} ${name}, more than the ${limit} that quota ${nameOf(a.quota)} allows`;
}

function describe({ quota, hard, left }: Allowance, name: string, wanted: bigint): string {
  const format = hard.get(name)?.format ?? "DecimalSI";
  const show = (nano: bigint) => formatQuantity({ nano, format });
  const free = left.get(name) ?? 0n;
  const has = free > 0n ? free : 0n;
  return `${show(wanted - has)} ${name} of quota ${nameOf(quota)}: ${show(wanted)} wanted, ${show(has)} free`;
}
