/** apps/v1, and the older kinds of its family. */
import {
  MISMATCH,
  NEGATIVE,
  NOT_A_PERCENTAGE,
  podSpec,
  type Row,
  spec,
  testBadManifests,
} from "../testing/bad-manifests.ts";

const pod = { containers: [{ name: "a", image: "nginx" }] };
const labels = { app: "web" };
const workload = { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } };

const TEMPLATES: readonly Row[] = [
  ["Deployment", spec({ replicas: -1 }), `spec.replicas: ${NEGATIVE}`],
  [
    "ReplicaSet",
    spec({ replicas: -1, minReadySeconds: -1 }),
    `spec.replicas: ${NEGATIVE}`,
    `spec.minReadySeconds: ${NEGATIVE}`,
  ],
  [
    "Deployment",
    spec({ selector: null }),
    "spec.selector: Required value",
    `spec.template.metadata.labels: Invalid value: {"app":"web"}: ${MISMATCH}`,
  ],
  [
    "Deployment",
    spec({ selector: { matchLabels: null } }),
    "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
  ],
  [
    "StatefulSet",
    spec({ selector: { matchLabels: null } }),
    "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
  ],
  [
    "DaemonSet",
    spec({ selector: { matchLabels: { app: "db" } } }),
    `spec.template.metadata.labels: Invalid value: {"app":"web"}: ${MISMATCH}`,
  ],
  [
    "ReplicaSet",
    spec({ template: { metadata: { labels: null } } }),
    `spec.template.metadata.labels: Invalid value: null: ${MISMATCH}`,
  ],
  [
    "Deployment",
    spec({ selector: { matchExpressions: [{ key: "app", operator: "Is", values: [] }] } }),
    'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
  ],
  ["Deployment", podSpec({ containers: [] }), "spec.template.spec.containers: Required value"],
  [
    "PodTemplate",
    { template: { spec: { containers: [{ name: "a" }] } } },
    "template.spec.containers[0].image: Required value",
  ],
  [
    "Deployment",
    podSpec({ restartPolicy: "Never" }),
    'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
  ],
  [
    "DaemonSet",
    podSpec({ activeDeadlineSeconds: 5 }),
    "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
  ],
  [
    "StatefulSet",
    podSpec({ ephemeralContainers: [{ name: "debug", image: "busybox" }] }),
    "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
  ],
  [
    "ReplicationController",
    spec({ selector: { app: "db" }, replicas: -1 }),
    `spec.replicas: ${NEGATIVE}`,
    `spec.template.metadata.labels: Invalid value: {"app":"web"}: ${MISMATCH}`,
  ],
  ["ReplicationController", spec({ template: null }), "spec.selector: Required value", "spec.template: Required value"],
];

const rolling = (r: object) => spec({ strategy: { rollingUpdate: r } });
const daemons = (r: object) => spec({ updateStrategy: { rollingUpdate: r } });
const UPDATE = "spec.updateStrategy.rollingUpdate";

const APPS: readonly Row[] = [
  [
    "Deployment",
    spec({ strategy: { type: "Recreate", rollingUpdate: {} } }),
    "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
  ],
  [
    "Deployment",
    spec({ strategy: { type: "Canary" } }),
    'spec.strategy: Unsupported value: {"type":"Canary"}: supported values: "Recreate", "RollingUpdate"',
  ],
  [
    "Deployment",
    rolling({ maxSurge: "x%" }),
    `spec.strategy.rollingUpdate.maxSurge: Invalid value: "x%": ${NOT_A_PERCENTAGE}`,
  ],
  [
    "Deployment",
    rolling({ maxUnavailable: "101%" }),
    'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
  ],
  [
    "Deployment",
    rolling({ maxUnavailable: 0, maxSurge: "0%" }),
    "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
  ],
  [
    "Deployment",
    spec({ progressDeadlineSeconds: 5, minReadySeconds: 5 }),
    "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
  ],
  ["Deployment", spec({ revisionHistoryLimit: -1 }), `spec.revisionHistoryLimit: ${NEGATIVE}`],
  [
    "StatefulSet",
    spec({ podManagementPolicy: "Any" }),
    "spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",
  ],
  [
    "StatefulSet",
    spec({ updateStrategy: { type: "Canary" } }),
    "spec.updateStrategy: Invalid value: {\"type\":\"Canary\"}: must be 'RollingUpdate' or 'OnDelete'",
  ],
  [
    "StatefulSet",
    spec({ updateStrategy: { type: "OnDelete", rollingUpdate: {} } }),
    `${UPDATE}: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'`,
  ],
  [
    "StatefulSet",
    daemons({ partition: -1, maxUnavailable: 0 }),
    `${UPDATE}.partition: ${NEGATIVE}`,
    `${UPDATE}.maxUnavailable: Invalid value: 0: cannot be 0`,
  ],
  [
    "StatefulSet",
    spec({ persistentVolumeClaimRetentionPolicy: { whenScaled: "Keep" } }),
    'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": supported values: "Retain", "Delete"',
  ],
  [
    "StatefulSet",
    spec({ volumeClaimTemplates: [{ metadata: { name: "d" }, spec: { accessModes: ["ReadWriteOnce"] } }] }),
    "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
  ],
  ["StatefulSet", spec({ ordinals: { start: -1 } }), `spec.ordinals.start: ${NEGATIVE}`],
  [
    "StatefulSet",
    { metadata: { name: "a.b" } },
    "metadata.name: Invalid value: \"a.b\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  ],
  [
    "DaemonSet",
    spec({ updateStrategy: { type: "Recreate" } }),
    'spec.updateStrategy: Unsupported value: {"type":"Recreate"}: supported values: "RollingUpdate", "OnDelete"',
  ],
  [
    "DaemonSet",
    daemons({ maxUnavailable: 1, maxSurge: 1 }),
    `${UPDATE}.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero`,
  ],
  [
    "DaemonSet",
    daemons({ maxUnavailable: 0 }),
    `${UPDATE}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0`,
  ],
  ["ControllerRevision", { data: null }, "data: Required value: data is mandatory"],
  [
    "ControllerRevision",
    { data: [1], revision: -1 },
    `revision: ${NEGATIVE}`,
    "data: Required value: data must be a valid JSON object",
  ],
];

testBadManifests(
  {
    ReplicationController: { spec: { template: workload.template } },
    PodTemplate: { template: workload.template },
    Deployment: { spec: workload },
    ReplicaSet: { spec: workload },
    StatefulSet: { spec: workload },
    DaemonSet: { spec: workload },
    ControllerRevision: { data: {}, revision: 1 },
  },
  [...TEMPLATES, ...APPS],
);
