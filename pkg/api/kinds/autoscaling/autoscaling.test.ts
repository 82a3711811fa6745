import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type {
  HorizontalPodAutoscaler,
  V2HorizontalPodAutoscaler,
  V2MetricSpec,
  V2MetricStatus,
} from "../../generated/types.ts";
import type { ApiObject } from "../../object.ts";
import { complaints, created, decoded, headings, row, writePart } from "../testing/writes.ts";
import { horizontalPodAutoscalersV1 as v1 } from "./horizontalpodautoscaler-v1.ts";
import { horizontalPodAutoscalers as v2 } from "./horizontalpodautoscaler.ts";

const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
const manifest = (spec: object = {}) => ({
  metadata: { name: "web" },
  spec: { scaleTargetRef, maxReplicas: 10, ...spec },
});
const hpa = (spec: object = {}, status: object = {}): V2HorizontalPodAutoscaler => {
  const o = created(v2, manifest(spec));
  return { ...o, status: { currentReplicas: 3, desiredReplicas: 3, ...status } };
};

const cpu = (averageUtilization: number): V2MetricSpec => ({
  type: "Resource",
  resource: { name: "cpu", target: { type: "Utilization", averageUtilization } },
});
const memory: V2MetricSpec = {
  type: "Resource",
  resource: { name: "memory", target: { type: "AverageValue", averageValue: "1Gi" } },
};
const pods: V2MetricSpec = {
  type: "Pods",
  pods: { metric: { name: "rps" }, target: { type: "AverageValue", averageValue: "100" } },
};
const object: V2MetricSpec = {
  type: "Object",
  object: {
    describedObject: { apiVersion: "networking.k8s.io/v1", kind: "Ingress", name: "main" },
    metric: { name: "rps" },
    target: { type: "Value", value: "2k" },
  },
};
const external: V2MetricSpec = {
  type: "External",
  external: {
    metric: { name: "queue", selector: { matchLabels: { q: "a" } } },
    target: { type: "AverageValue", averageValue: "30" },
  },
};
const container: V2MetricSpec = {
  type: "ContainerResource",
  containerResource: { name: "cpu", container: "web", target: { type: "Utilization", averageUtilization: 60 } },
};
const usage = (averageUtilization: number): V2MetricStatus => ({
  type: "Resource",
  resource: { name: "cpu", current: { averageUtilization, averageValue: "100m" } },
});

describe("what kubectl get shows", () => {
  test.each<[string, V2MetricSpec[], V2MetricStatus[], string]>([
    ["nothing known", [cpu(80)], [], "cpu: <unknown>/80%"],
    ["a share of cpu", [cpu(80)], [usage(12)], "cpu: 12%/80%"],
    [
      "an amount of memory",
      [memory],
      [{ type: "Resource", resource: { name: "memory", current: { averageValue: "300Mi" } } }],
      "memory: 300Mi/1Gi",
    ],
    ["one container", [container], [], "cpu: <unknown>/60%"],
    [
      "requests a second",
      [pods],
      [{ type: "Pods", pods: { metric: { name: "rps" }, current: { averageValue: "40" } } }],
      "40/100",
    ],
    [
      "an average",
      [external],
      [{ type: "External", external: { metric: { name: "queue" }, current: { averageValue: "5" } } }],
      "5/30 (avg)",
    ],
    ["more than two", [cpu(50), object, pods, external], [usage(7)], "cpu: 7%/50%, <unknown>/2k + 2 more..."],
  ])("%s", (_, metrics, currentMetrics, text) => {
    const o = hpa({ metrics }, { currentMetrics });
    expect(headings(v2)).toBe("Name Reference Targets MinPods MaxPods Replicas Age");
    expect(row(v2, o)).toEqual(["web", "Deployment/web", text, "1", 10, 3, "60m"]);
  });

  test("is the same through v1", () => {
    const o = hpa({ metrics: [pods, cpu(80)] }, { currentMetrics: [] });
    expect(headings(v1)).toBe(headings(v2));
    expect(row(v1, o as never)).toEqual(row(v2, o));
    expect(row(v1, v1.view?.fromStored(o) as never)[4]).toBe(10);
  });
});

describe("defaults", () => {
  test("aim at 80 % of cpu", () => {
    const o = created(v2, manifest());
    expect(complaints(v2, o)).toEqual([]);
    expect(o.spec).toMatchObject({ minReplicas: 1, metrics: [cpu(80)] });
    expect(o.spec).not.toHaveProperty("behavior");
    expect(o.status).toEqual({ currentMetrics: [], currentReplicas: 0, desiredReplicas: 0 });
  });

  test("complete a behavior", () => {
    const o = created(v2, manifest({ behavior: { scaleDown: { stabilizationWindowSeconds: 60, tolerance: "0.05" } } }));
    expect(complaints(v2, o)).toEqual([]);
    expect(o.spec.behavior).toEqual({
      scaleUp: {
        stabilizationWindowSeconds: 0,
        selectPolicy: "Max",
        policies: [
          { type: "Pods", value: 4, periodSeconds: 15 },
          { type: "Percent", value: 100, periodSeconds: 15 },
        ],
      },
      scaleDown: {
        stabilizationWindowSeconds: 60,
        tolerance: "50m",
        selectPolicy: "Max",
        policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
      },
    });
  });
});

test("a status is a count", () => {
  const { errors } = writePart(v2, "status", hpa(), (o) => {
    o.status = { currentReplicas: -1, desiredReplicas: 0 };
  });
  expect(errors).toEqual(["status.currentReplicas: Invalid value: -1: must be greater than or equal to 0"]);
});

describe("autoscaling/v1", () => {
  const shown = (o: ApiObject) => v1.view?.fromStored(o) as HorizontalPodAutoscaler;
  const stored = (o: ApiObject) => v1.view?.toStored(o) as V2HorizontalPodAutoscaler;
  const notes = (o: HorizontalPodAutoscaler) =>
    Object.fromEntries(
      Object.entries(o.metadata.annotations ?? {}).map(([k, v]) => [k.replace(/.*\//, ""), JSON.parse(v) as unknown]),
    );

  test("has a field for cpu, and notes for the rest", () => {
    const conditions = [{ type: "AbleToScale", status: "True" }];
    const behavior = { scaleDown: { selectPolicy: "Disabled" } };
    const o = shown(
      hpa({ metrics: [cpu(70), memory, external], behavior }, { conditions, currentMetrics: [usage(12)] }),
    );
    expect(o).toMatchObject({
      apiVersion: "autoscaling/v1",
      spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 10, targetCPUUtilizationPercentage: 70 },
      status: { currentReplicas: 3, desiredReplicas: 3, currentCPUUtilizationPercentage: 12 },
    });
    expect(notes(o)).toMatchObject({
      metrics: [
        { type: "Resource", resource: { name: "memory", targetAverageValue: "1Gi" } },
        {
          type: "External",
          external: { metricName: "queue", metricSelector: { matchLabels: { q: "a" } }, targetAverageValue: "30" },
        },
      ],
      "current-metrics": [
        { type: "Resource", resource: { name: "cpu", currentAverageUtilization: 12, currentAverageValue: "100m" } },
      ],
      conditions,
      behavior: {
        ScaleDown: { SelectPolicy: "Disabled", Policies: [{ Type: "Percent", Value: 100, PeriodSeconds: 15 }] },
      },
    });
  });

  test("without a goal aims at 80 % of cpu", () => {
    const o = decoded(v2, stored(decoded(v1, manifest())));
    expect(o).toMatchObject({
      apiVersion: "autoscaling/v2",
      spec: { metrics: [cpu(80)], minReplicas: 1, maxReplicas: 10 },
    });
  });

  test("loses nothing there and back", () => {
    const metrics = fc.shuffledSubarray([memory, pods, object, external, container]);
    const behavior = fc.option(fc.constant({ scaleUp: { stabilizationWindowSeconds: 7, tolerance: "100m" } }), {
      nil: undefined,
    });
    const annotations = fc.option(fc.dictionary(fc.constantFrom("a", "b"), fc.string(), { minKeys: 1 }), {
      nil: undefined,
    });
    fc.assert(
      fc.property(metrics, behavior, annotations, fc.nat(99), (others, rules, notes, percent) => {
        // v1 puts the goal for cpu last.
        const spec = { metrics: [...others, cpu(percent + 1)], ...(rules && { behavior: rules }) };
        const status = { currentMetrics: [usage(percent)], conditions: [{ type: "AbleToScale", status: "True" }] };
        const before = hpa(spec, status);
        if (notes) before.metadata.annotations = notes;
        expect(stored(shown(before))).toEqual(before);
      }),
    );
  });

  test("never fails for what somebody wrote into a note", () => {
    const junk = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom(
        "[1]",
        "[null]",
        '[{"type":"Resource","resource":{"targetAverageValue":{}}}]',
        '{"__proto__":{}}',
      ),
    );
    const names = ["metrics", "current-metrics", "conditions", "behavior"].map(
      (n) => `autoscaling.alpha.kubernetes.io/${n}`,
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), junk), (annotations) => {
        const spec = { scaleTargetRef, maxReplicas: 10, targetCPUUtilizationPercentage: 50 };
        const status = { currentReplicas: 1, desiredReplicas: 1 };
        const o = stored({ metadata: { name: "web", annotations }, spec, status } as ApiObject);
        // What was understood has the types of the schema.
        expect(decoded(v2, o).spec.metrics?.at(-1)).toEqual(cpu(50));
        expect(o.metadata).toEqual({ name: "web" });
      }),
    );
  });
});
