/** Amounts of resources, as whole numbers (`cpu` in thousandths), with a Pod's place on a node as one more. Pure. */
import type { PodSpec } from "../../api/generated/types.ts";
import { podRequests, type ResourceTotals } from "../../api/pod.ts";
import { formatQuantity } from "../../api/quantity.ts";
import type { DeepReadonly } from "../../util/types.ts";

export type Amounts = Readonly<ResourceTotals>;

/** What a node must have for one such Pod. */
export function needsOf(spec: DeepReadonly<PodSpec>): Amounts {
  const needs = Object.entries(podRequests({ metadata: {}, spec })).filter(([, n]) => n > 0n);
  return { ...Object.fromEntries(needs), pods: 1n };
}

/** As a Pod is when it has been created: where only a limit is given, that much is requested. */
export function withRequests(spec: DeepReadonly<PodSpec>): DeepReadonly<PodSpec> {
  const filled = <C extends DeepReadonly<PodSpec>["containers"][number]>(c: C): C =>
    c.resources?.limits
      ? { ...c, resources: { ...c.resources, requests: { ...c.resources.limits, ...c.resources.requests } } }
      : c;
  return {
    ...spec,
    containers: spec.containers.map(filled),
    ...(spec.initContainers && { initContainers: spec.initContainers.map(filled) }),
  };
}

export function minus(a: Amounts, b: Amounts, times = 1n): Amounts {
  const left: ResourceTotals = { ...a };
  for (const [name, n] of Object.entries(b)) left[name] = (left[name] ?? 0n) - n * times;
  return left;
}

/** How many times `needs` fit. */
export function timesIn(free: Amounts, needs: Amounts): number {
  let times = Infinity;
  for (const [name, n] of Object.entries(needs)) {
    const has = free[name] ?? 0n;
    times = Math.min(times, has > 0n ? Number(has / n) : 0);
  }
  return times;
}

const BYTES: ReadonlySet<string> = new Set(["memory", "ephemeral-storage"]);

/** `1500m`, `2Gi`, `4`. */
export function showAmount(name: string, n: bigint): string {
  const nano = name === "cpu" ? n * 1_000_000n : n * 1_000_000_000n;
  return formatQuantity({ nano, format: BYTES.has(name) ? "BinarySI" : "DecimalSI" });
}
