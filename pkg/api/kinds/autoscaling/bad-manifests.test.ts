/** autoscaling */
import { type Row, spec, testBadManifests } from "../testing/bad-manifests.ts";

const resource = { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } };

const metric = (m: object) => spec({ metrics: [m] });
const behavior = (r: object) => spec({ behavior: { scaleUp: r } });
const UP = "spec.behavior.scaleUp";

const AUTOSCALING: readonly Row[] = [
  [
    "HorizontalPodAutoscaler",
    spec({ maxReplicas: null }),
    "spec.maxReplicas: Required value: must be set and greater than 0",
    "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
  ],
  [
    "HorizontalPodAutoscaler",
    spec({ minReplicas: 6 }),
    "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`",
  ],
  [
    "HorizontalPodAutoscaler",
    spec({ minReplicas: 0 }),
    "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
    "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
  ],
  [
    "HorizontalPodAutoscaler",
    spec({ scaleTargetRef: { kind: null, name: "a/b" } }),
    "spec.scaleTargetRef.kind: Required value",
    "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'",
  ],
  [
    "HorizontalPodAutoscaler",
    spec({ scaleTargetRef: { apiVersion: "v1" } }),
    'spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group',
  ],
  [
    "HorizontalPodAutoscaler",
    metric({ type: "Disk" }),
    'spec.metrics[0].type: Unsupported value: "Disk": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
  ],
  [
    "HorizontalPodAutoscaler",
    metric({ type: "Pods", resource }),
    "spec.metrics[0].pods: Required value: must populate information for the given metric source",
  ],
  [
    "HorizontalPodAutoscaler",
    metric({ type: "Resource", resource: { ...resource, target: { type: "Utilization" } } }),
    "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
  ],
  [
    "HorizontalPodAutoscaler",
    metric({ type: "Resource", resource: { ...resource, target: { type: "Share", averageUtilization: 0 } } }),
    'spec.metrics[0].resource.target.type: Invalid value: "Share": must be either Utilization, Value, or AverageValue',
    "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
  ],
  [
    "HorizontalPodAutoscaler",
    metric({ type: "Pods", pods: { metric: { name: "" }, target: { type: "AverageValue", averageValue: "0" } } }),
    "spec.metrics[0].pods.metric.name: Required value: must specify a metric name",
    'spec.metrics[0].pods.target.averageValue: Invalid value: "0": must be positive',
  ],
  [
    "HorizontalPodAutoscaler",
    behavior({ policies: [] }),
    `${UP}.policies: Required value: must specify at least one Policy`,
  ],
  [
    "HorizontalPodAutoscaler",
    behavior({ stabilizationWindowSeconds: 3601, selectPolicy: "All" }),
    `${UP}.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600`,
    `${UP}.selectPolicy: Unsupported value: "All": supported values: "Disabled", "Max", "Min"`,
  ],
  [
    "HorizontalPodAutoscaler",
    behavior({ policies: [{ type: "Nodes", value: 0, periodSeconds: 1801 }] }),
    `${UP}.policies[0].type: Unsupported value: "Nodes": supported values: "Percent", "Pods"`,
    `${UP}.policies[0].value: Invalid value: 0: must be greater than zero`,
    `${UP}.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800`,
  ],
];

testBadManifests(
  {
    HorizontalPodAutoscaler: {
      spec: { maxReplicas: 5, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } },
    },
  },
  AUTOSCALING,
);
