import { expect, test } from "@jest/globals";
import type { V2HorizontalPodAutoscaler, V2MetricSpec } from "../../api/generated/types.ts";
import { noHistory } from "./behavior.ts";
import { afterRescale, type Observed, planScale, type TargetPods, unreachable } from "./plan.ts";
import { defaultSettings } from "./settings.ts";
import { allMetrics, hpaOf, NOW, podsOf, type Shape } from "./testing.ts";

function plan(
  current: number,
  o: { hpa?: V2HorizontalPodAutoscaler; shapes?: readonly Shape[]; target?: TargetPods } = {},
) {
  const { hpa = hpaOf(), shapes = [] } = o;
  const target = o.target ?? { pods: podsOf(shapes), metrics: { items: allMetrics(shapes) } };
  const observed: Observed = { hpa, current, target, history: noHistory, now: NOW, settings: defaultSettings };
  const planned = planScale(observed);
  return { ...planned, after: afterRescale(observed, planned) };
}

const said = (p: ReturnType<typeof plan>) =>
  Object.fromEntries((p.after.status.conditions ?? []).map((c) => [c.type, `${c.status} ${c.reason}`]));

const cpu: V2MetricSpec = {
  type: "Resource",
  resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } },
};
const external: V2MetricSpec = {
  type: "External",
  external: { metric: { name: "queue" }, target: { type: "AverageValue", averageValue: "3" } },
};

test("a busy target grows, and the status says why", () => {
  const p = plan(2, { shapes: [{ uses: 1000 }, { uses: 1000 }] });
  expect(p.rescale).toEqual({
    replicas: 4,
    reason: "cpu resource utilization (percentage of request) above target",
  });
  expect(p.after.event).toEqual({
    type: "Normal",
    reason: "SuccessfulRescale",
    message: "New size: 4; reason: cpu resource utilization (percentage of request) above target",
  });
  expect(p.after.status).toMatchObject({
    observedGeneration: 1,
    currentReplicas: 2,
    desiredReplicas: 4,
    lastScaleTime: "2026-01-01T12:00:00Z",
    currentMetrics: [
      { type: "Resource", resource: { name: "cpu", current: { averageUtilization: 100, averageValue: "1" } } },
    ],
  });
  expect(p.after.status.conditions).toMatchObject([
    {
      type: "AbleToScale",
      status: "True",
      reason: "SucceededRescale",
      message: "the HPA controller was able to update the target scale to 4",
    },
    {
      type: "ScalingActive",
      status: "True",
      reason: "ValidMetricFound",
      message:
        "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)",
    },
    {
      type: "ScalingLimited",
      status: "False",
      reason: "DesiredWithinRange",
      message: "the desired count is within the acceptable range",
    },
  ]);
});

test.each<[string, number, Parameters<typeof plan>[1], number | undefined, Record<string, string>]>([
  [
    "an idle one shrinks",
    4,
    { shapes: Array<Shape>(4).fill({ uses: 100 }) },
    1,
    {
      AbleToScale: "True SucceededRescale",
      ScalingActive: "True ValidMetricFound",
      ScalingLimited: "False DesiredWithinRange",
    },
  ],
  [
    "zero replicas: it is switched off",
    0,
    {},
    undefined,
    { AbleToScale: "True SucceededGetScale", ScalingActive: "False ScalingDisabled" },
  ],
  ["above the maximum, whatever the metrics say", 12, {}, 10, { AbleToScale: "True SucceededRescale" }],
  ["below the minimum", 1, { hpa: hpaOf({ minReplicas: 3 }) }, 3, { AbleToScale: "True SucceededRescale" }],
  [
    "no metrics: nothing is done",
    2,
    { target: { pods: podsOf([{}]), metrics: { error: "the server is currently unable to handle the request" } } },
    undefined,
    { AbleToScale: "True SucceededGetScale", ScalingActive: "False FailedGetResourceMetric" },
  ],
  [
    "of several metrics the most demanding",
    2,
    {
      hpa: hpaOf({
        metrics: [
          cpu,
          { type: "Resource", resource: { name: "memory", target: { type: "AverageValue", averageValue: "16Mi" } } },
        ],
      }),
      shapes: [{ uses: 500 }, { uses: 500 }],
    },
    4,
    {
      AbleToScale: "True SucceededRescale",
      ScalingActive: "True ValidMetricFound",
      ScalingLimited: "True ScaleUpLimit",
    },
  ],
  [
    "one unknown metric: up, on what is known",
    2,
    { hpa: hpaOf({ metrics: [external, cpu] }), shapes: [{ uses: 900 }, { uses: 900 }] },
    4,
    {
      AbleToScale: "True SucceededRescale",
      ScalingActive: "True ValidMetricFound",
      ScalingLimited: "False DesiredWithinRange",
    },
  ],
  [
    "… but not down",
    4,
    { hpa: hpaOf({ metrics: [external, cpu] }), shapes: Array<Shape>(4).fill({ uses: 100 }) },
    undefined,
    { AbleToScale: "True SucceededGetScale", ScalingActive: "False FailedGetExternalMetric" },
  ],
  [
    "two autoscalers for the same Pods: neither acts",
    2,
    {
      target: {
        problem: {
          reason: "AmbiguousSelector",
          message: "pods by selector app=web are controlled by multiple HPAs: [default/a default/b]",
        },
      },
    },
    undefined,
    { AbleToScale: "True SucceededGetScale", ScalingActive: "False AmbiguousSelector" },
  ],
  [
    "its own tolerance",
    10,
    {
      hpa: hpaOf({
        maxReplicas: 20,
        behavior: { scaleUp: { tolerance: "0.5", policies: [], stabilizationWindowSeconds: 0 } },
      }),
      shapes: Array<Shape>(10).fill({ uses: 700 }),
    },
    undefined,
    {
      AbleToScale: "True ReadyForNewScale",
      ScalingActive: "True ValidMetricFound",
      ScalingLimited: "False DesiredWithinRange",
    },
  ],
])("%s", (_, current, o, replicas, conditions) => {
  const p = plan(current, o);
  expect(p.rescale?.replicas).toBe(replicas);
  expect(said(p)).toEqual(conditions);
});

test.each<[V2MetricSpec, string, string]>([
  [
    external,
    "FailedGetExternalMetric",
    "invalid metrics (1 invalid out of 1), first error is: failed to get queue external metric: unable to get external metric default/queue/nil: unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue.external.metrics.k8s.io)",
  ],
  [
    { type: "Pods", pods: { metric: { name: "rps" }, target: { type: "AverageValue", averageValue: "3" } } },
    "FailedGetPodsMetric",
    "invalid metrics (1 invalid out of 1), first error is: failed to get pods metric value: unable to get metric rps: unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered",
  ],
  [
    cpu,
    "FailedGetResourceMetric",
    "invalid metrics (1 invalid out of 1), first error is: failed to get cpu utilization: missing request for cpu in container app of Pod web-0",
  ],
])("a metric that cannot be had is an event of its own, and one for all", (metric, reason, summary) => {
  const p = plan(1, { hpa: hpaOf({ metrics: [metric] }), shapes: [{ uses: 5, request: "" }] });
  expect(p.events.map((e) => e.reason)).toEqual([reason, "FailedComputeMetricsReplicas"]);
  expect(p.events[1]?.message).toBe(summary);
  expect(p.after.status.currentMetrics).toEqual([{ type: "" }]);
});

test("a scale that cannot be written is said, and tried again at the next look", () => {
  const hpa = hpaOf();
  const observed = { hpa, current: 2, now: NOW };
  const planned = plan(2, { hpa, shapes: [{ uses: 1000 }, { uses: 1000 }] });
  const { status, event } = afterRescale(observed, planned, "the object has been modified");
  expect(status.desiredReplicas).toBe(2);
  expect(status.lastScaleTime).toBeUndefined();
  expect(status.conditions?.[0]).toMatchObject({
    reason: "FailedUpdateScale",
    message: "the HPA controller was unable to update the target scale: the object has been modified",
  });
  expect(event).toMatchObject({ reason: "FailedRescale", type: "Warning" });
});

test("a scale that cannot be read is said", () => {
  const { status, event } = unreachable(hpaOf(), 'deployments.apps "web" not found', NOW);
  expect(status.conditions).toMatchObject([{ type: "AbleToScale", status: "False", reason: "FailedGetScale" }]);
  expect(event.message).toBe('deployments.apps "web" not found');
});
