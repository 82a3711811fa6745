/** What bounds others: quotas, limits, budgets, priorities. */
import { NOT_A_PERCENTAGE, type Row, spec, testBadManifests } from "../testing/bad-manifests.ts";

const hard = (h: object, more: object = {}) => spec({ hard: h, ...more });
const scope = (e: object) => spec({ scopeSelector: { matchExpressions: [e] } });
const MATCH = "spec.scopeSelector.matchExpressions";
const limit = (l: object) => spec({ limits: [{ type: "Container", ...l }] });
const LIMIT = "spec.limits[0]";

const BOUNDS: readonly Row[] = [
  [
    "PodDisruptionBudget",
    spec({ selector: null, maxUnavailable: 1 }),
    'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
  ],
  [
    "PodDisruptionBudget",
    spec({ minAvailable: "half" }),
    `spec.minAvailable: Invalid value: "half": ${NOT_A_PERCENTAGE}`,
  ],
  [
    "PodDisruptionBudget",
    spec({ minAvailable: "200%" }),
    'spec.minAvailable: Invalid value: "200%": must not be greater than 100%',
  ],
  [
    "PodDisruptionBudget",
    spec({ unhealthyPodEvictionPolicy: "No" }),
    'spec.unhealthyPodEvictionPolicy: Unsupported value: "No": supported values: "AlwaysAllow", "IfHealthyBudget"',
  ],
  [
    "PriorityClass",
    { value: 1_000_000_001 },
    "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
  ],
  [
    "PriorityClass",
    { preemptionPolicy: "Sometimes" },
    'preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"',
  ],
  [
    "PriorityClass",
    { metadata: { name: "system-mine" } },
    "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class",
  ],
  [
    "PriorityClass",
    { metadata: { name: "system-node-critical" } },
    "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000",
  ],
  ["ResourceQuota", hard({ pods: "-1" }), 'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0'],
  ["ResourceQuota", hard({ pods: "1.5" }), 'spec.hard[pods]: Invalid value: "1500m": must be an integer'],
  [
    "ResourceQuota",
    hard({ storage: "1Gi" }),
    'spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota',
  ],
  [
    "ResourceQuota",
    hard({ "example.com/gpu": "500m" }),
    'spec.hard[example.com/gpu]: Invalid value: "500m": must be an integer',
  ],
  ["ResourceQuota", spec({ scopes: ["Idle"] }), 'spec.scopes: Invalid value: ["Idle"]: unsupported scope'],
  [
    "ResourceQuota",
    hard({ "requests.cpu": "1" }, { scopes: ["BestEffort"] }),
    'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
  ],
  [
    "ResourceQuota",
    spec({ scopes: ["Terminating", "NotTerminating"] }),
    'spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes',
  ],
  [
    "ResourceQuota",
    scope({ scopeName: "PriorityClass", operator: "In" }),
    `${MATCH}.values: Required value: must be at least one value when \`operator\` is 'In' or 'NotIn' for scope selector`,
  ],
  [
    "ResourceQuota",
    scope({ scopeName: "PriorityClass", operator: "Is" }),
    `${MATCH}.operator: Invalid value: "Is": not a valid selector operator`,
  ],
  [
    "ResourceQuota",
    scope({ scopeName: "BestEffort", operator: "In", values: ["x"] }),
    `${MATCH}.operator: Invalid value: "In": must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity`,
  ],
  [
    "LimitRange",
    limit({ type: "Node" }),
    `${LIMIT}.type: Invalid value: "Node": must be a standard limit type or fully qualified`,
  ],
  ["LimitRange", spec({ limits: [{ type: "Pod" }, { type: "Pod" }] }), 'spec.limits[1].type: Duplicate value: "Pod"'],
  [
    "LimitRange",
    limit({ type: "Pod", default: { cpu: "1" } }),
    `${LIMIT}.default: Forbidden: may not be specified when \`type\` is 'Pod'`,
  ],
  [
    "LimitRange",
    limit({ type: "PersistentVolumeClaim" }),
    `${LIMIT}.limits: Required value: either minimum or maximum storage value is required, but neither was provided`,
  ],
  [
    "LimitRange",
    limit({ max: { pods: "1" } }),
    ...["max", "default", "defaultRequest"].map(
      (list) => `${LIMIT}.${list}[pods]: Invalid value: "pods": must be a standard resource for containers`,
    ),
  ],
  [
    "LimitRange",
    limit({ type: "Pod", min: { cpu: "2" }, max: { cpu: "1" } }),
    `${LIMIT}.min[cpu]: Invalid value: "2": min value 2 is greater than max value 1`,
  ],
  [
    "LimitRange",
    limit({ default: { cpu: "1" }, defaultRequest: { cpu: "2" } }),
    `${LIMIT}.defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than default limit value 1`,
  ],
  [
    "LimitRange",
    limit({ max: { cpu: "1" }, default: { cpu: "2" } }),
    `${LIMIT}.defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than max value 1`,
    `${LIMIT}.default[cpu]: Invalid value: "1": default value 2 is greater than max value 1`,
  ],
  [
    "LimitRange",
    limit({ type: "Pod", maxLimitRequestRatio: { cpu: "500m" } }),
    `${LIMIT}.maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1`,
  ],
  [
    "LimitRange",
    limit({ type: "Pod", min: { cpu: "1" }, max: { cpu: "2" }, maxLimitRequestRatio: { cpu: "3" } }),
    `${LIMIT}.maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000`,
  ],
];

testBadManifests(
  {
    PodDisruptionBudget: { spec: { minAvailable: 1, selector: { matchLabels: { app: "web" } } } },
    PriorityClass: { value: 1 },
    ResourceQuota: { spec: { hard: { pods: "1" } } },
    LimitRange: { spec: { limits: [{ type: "Container", max: { cpu: "1" } }] } },
  },
  BOUNDS,
);
