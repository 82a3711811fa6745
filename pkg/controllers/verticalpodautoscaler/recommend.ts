/** From usage to what containers should ask for. Pure. */
import {
  amount,
  type ContainerPolicy,
  type ContainerRecommendation,
  CONTROLLED,
  policyFor,
  type Resources,
  type VerticalPodAutoscaler,
  written,
} from "../../api/verticalpodautoscaler.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ContainerUsage } from "./usage.ts";

type Resource = (typeof CONTROLLED)[number];
type Amounts = Readonly<Record<Resource, number>>;

const SHARES = { lowerBound: 0.5, target: 0.9, upperBound: 0.95 } as const;
const SAFETY_MARGIN = 1.15;
/** Of a whole Pod; each container gets its part. */
const POD_MIN: Amounts = { cpu: 0.025, memory: 250 * 2 ** 20 };
const MOST: Amounts = { cpu: 1e11, memory: 1e14 };

/** By container, in their names' order; those without a history, and those whose policy is Off, have none. */
export function recommend(
  vpa: DeepReadonly<VerticalPodAutoscaler>,
  usage: ReadonlyMap<string, ContainerUsage>,
): ContainerRecommendation[] {
  const known = [...usage].filter(([name, u]) => !u.isEmpty && policyFor(vpa, name).mode !== "Off");
  return known
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, u]) => ofContainer(name, estimate(u, 1 / known.length), policyFor(vpa, name)));
}

type Estimate = Readonly<Record<keyof typeof SHARES, Amounts>>;

/** The bounds are the wider the less is known: a short history is no reason to restart anything. */
function estimate(u: ContainerUsage, part: number): Estimate {
  const widen = { lowerBound: (1 + 0.001 / u.confidence) ** -2, target: 1, upperBound: 1 + 1 / u.confidence };
  const at = (which: keyof typeof SHARES): Amounts => ({
    cpu: bounded("cpu", u.cpu.percentile(SHARES[which]) * SAFETY_MARGIN * widen[which], part),
    memory: bounded("memory", u.memory.percentile(SHARES[which]) * SAFETY_MARGIN * widen[which], part),
  });
  return { lowerBound: at("lowerBound"), target: at("target"), upperBound: at("upperBound") };
}

function bounded(resource: Resource, value: number, part: number): number {
  return Math.min(MOST[resource], Math.max(value, POD_MIN[resource] * part));
}

function ofContainer(containerName: string, e: Estimate, p: DeepReadonly<ContainerPolicy>): ContainerRecommendation {
  const controlled = CONTROLLED.filter((r) => p.controlledResources?.includes(r) ?? true);
  const write = (a: Amounts, cap: (r: Resource, n: number) => number): Resources =>
    Object.fromEntries(controlled.map((r) => [r, written(r, cap(r, a[r]))]));
  const capped = (r: Resource, n: number) => cap(n, p.minAllowed?.[r], p.maxAllowed?.[r]);
  return {
    containerName,
    target: write(e.target, capped),
    lowerBound: write(e.lowerBound, capped),
    upperBound: write(e.upperBound, capped),
    uncappedTarget: write(e.target, (_, n) => n),
  };
}

function cap(n: number, min: string | undefined, max: string | undefined): number {
  const atLeast = min === undefined ? n : Math.max(n, amount(min));
  return max === undefined ? atLeast : Math.min(atLeast, amount(max));
}
