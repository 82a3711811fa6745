/** How many replicas one resource metric asks for. Pure. */
import type { PodMetrics } from "../../api/generated/types.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { groupPods, MetricError, requestsOf, type Resource, type Use, useOf } from "./pods.ts";
import type { AutoscalerSettings } from "./settings.ts";

/** What should be: percent of what is asked for, or so many thousandths for each Pod. */
export type Target = { readonly utilization: number } | { readonly averageMilli: number };

/** A ratio of use to target within `1 - down` and `1 + up` changes nothing. */
export interface Tolerance {
  readonly up: number;
  readonly down: number;
}

export interface Measured {
  /** Replicas asked for at the moment. */
  readonly current: number;
  /** Those of the selector. */
  readonly pods: readonly ReadonlyPod[];
  readonly metrics: readonly DeepReadonly<PodMetrics>[];
  readonly tolerance: Tolerance;
  readonly now: number;
  readonly settings: AutoscalerSettings;
}

export interface Proposal {
  readonly replicas: number;
  /** Percent, where that is the target. */
  readonly utilization?: number;
  readonly averageMilli: number;
}

type Values = ReadonlyMap<string, number>;

interface Reading extends Omit<Proposal, "replicas"> {
  /** Of use to target. */
  readonly ratio: number;
}

/** How a target reads the use of some Pods, and what it takes an unmeasured one for when the others use too little. */
interface Gauge {
  readonly read: (use: Values) => Reading;
  readonly assumed: (pod: string) => number;
}

/**
 * Replicas = ceil(ratio × Pods), where only believable Pods are measured. Of the others the worst is assumed that keeps
 * from acting: of an unmeasured one, when it is to go down, that it does all it should; when it is to go up, that it and
 * the unready ones do nothing. If that turns the direction, nothing is done. Throws {@link MetricError}.
 */
export function proposeReplicas(resource: Resource, target: Target, m: Measured): Proposal {
  const all = useOf(resource, m.metrics);
  if (m.pods.length === 0) throw new MetricError("no pods returned by selector while calculating replica count");
  const { ready, unready, missing } = groupPods(m.pods, all, { ...m, resource: resource.name });
  const use = new Map(ready.map((name) => [name, (all.get(name) as Use).milli]));
  if (use.size === 0) throw new MetricError("did not receive metrics for targeted pods (pods might be unready)");
  const gauge = gaugeFor(resource, target, m.pods);
  const { ratio, ...reading } = gauge.read(use);
  const raised = ratio > 1 ? unready : [];
  const propose = (replicas: number): Proposal => ({ replicas, ...reading });
  if (raised.length === 0 && missing.length === 0) {
    return propose(within(m.tolerance, ratio) ? m.current : roundUp(ratio * ready.length));
  }
  const assumed = (name: string): number => (ratio < 1 ? gauge.assumed(name) : 0);
  const whole = new Map([
    ...use,
    ...(ratio === 1 ? [] : missing.map((name): [string, number] => [name, assumed(name)])),
    ...raised.map((name): [string, number] => [name, 0]),
  ]);
  const careful = gauge.read(whole).ratio;
  const turned = (ratio < 1 && careful > 1) || (ratio > 1 && careful < 1);
  if (turned || within(m.tolerance, careful)) return propose(m.current);
  const replicas = roundUp(careful * whole.size);
  const against = (careful < 1 && replicas > m.current) || (careful > 1 && replicas < m.current);
  return propose(against ? m.current : replicas);
}

function gaugeFor(resource: Resource, target: Target, pods: readonly ReadonlyPod[]): Gauge {
  if ("averageMilli" in target) {
    const read = (use: Values) => {
      const averageMilli = Math.trunc(sum(use.values()) / use.size);
      return { ratio: averageMilli / target.averageMilli, averageMilli };
    };
    return { read, assumed: () => target.averageMilli };
  }
  const requests = requestsOf(resource, pods);
  const request = (pod: string) => requests.get(pod) ?? 0;
  const read = (use: Values) => {
    const asked = sum([...use.keys()].map(request));
    if (asked === 0) throw new MetricError("no metrics returned matched known pods");
    const used = sum(use.values());
    const utilization = Math.trunc((used * 100) / asked);
    return { ratio: utilization / target.utilization, utilization, averageMilli: Math.trunc(used / use.size) };
  };
  return { read, assumed: (pod) => Math.trunc((request(pod) * Math.max(100, target.utilization)) / 100) };
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const v of values) total += v;
  return total;
}

/** 1.1 × 10 is eleven, whatever floating point makes of it. */
const roundUp = (n: number) => Math.ceil(Number(n.toFixed(9)));

const within = ({ up, down }: Tolerance, ratio: number) => 1 - down <= ratio && ratio <= 1 + up;
