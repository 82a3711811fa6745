/** Pods, their use and an autoscaler, for the tests of this folder. */
import type { Pod, PodMetrics, V2HorizontalPodAutoscaler } from "../../api/generated/types.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { ReadonlyPod } from "../workload/pods.ts";

export const NOW = Date.UTC(2026, 0, 1, 12);
const secondsAgo = (s: number) => rfc3339(NOW - s * 1000);

/** One Pod as a test table writes it. */
export interface Shape {
  /** Of one container; absent: not measured. Thousandths of a CPU. */
  readonly uses?: number;
  readonly request?: string | undefined;
  readonly phase?: string;
  readonly ready?: boolean;
  readonly startedAgo?: number;
  readonly changedAgo?: number;
  readonly measuredAgo?: number;
  readonly deleted?: boolean;
  readonly container?: string;
}

export function podOf(name: string, s: Shape): ReadonlyPod {
  const { request = "1", phase = "Running", ready = true, startedAgo = 3600, changedAgo = 3500, container = "app" } = s;
  const pod: Pod = {
    metadata: { name, namespace: "default", labels: { app: "web" } },
    spec: {
      containers: [{ name: container, image: "i", ...(request && { resources: { requests: { cpu: request } } }) }],
    },
    status: {
      phase,
      startTime: secondsAgo(startedAgo),
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: secondsAgo(changedAgo) }],
    },
  };
  if (s.deleted) pod.metadata.deletionTimestamp = secondsAgo(0);
  return pod;
}

export function metricsOf(name: string, { uses, measuredAgo = 0, container = "app" }: Shape): PodMetrics[] {
  if (uses === undefined) return [];
  return [
    {
      metadata: { name, namespace: "default" },
      timestamp: secondsAgo(measuredAgo),
      window: "10s",
      containers: [{ name: container, usage: { cpu: `${uses}m`, memory: "64Mi" } }],
    },
  ];
}

const nameOfShape = (_: Shape, i: number) => `web-${i}`;

export const podsOf = (shapes: readonly Shape[]) => shapes.map((s, i) => podOf(nameOfShape(s, i), s));
export const allMetrics = (shapes: readonly Shape[]) => shapes.flatMap((s, i) => metricsOf(nameOfShape(s, i), s));

export function hpaOf(spec: Partial<V2HorizontalPodAutoscaler["spec"]> = {}): V2HorizontalPodAutoscaler {
  return {
    metadata: { name: "web", namespace: "default", generation: 1 },
    spec: {
      minReplicas: 1,
      maxReplicas: 10,
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } },
      ],
      ...spec,
    },
  };
}
