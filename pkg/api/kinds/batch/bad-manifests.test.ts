/** batch/v1 */
import { both, MISMATCH, NEGATIVE, podSpec, type Row, spec, testBadManifests } from "../testing/bad-manifests.ts";

const job = { template: { spec: { containers: [{ name: "a", image: "nginx" }], restartPolicy: "Never" } } };

const indexed = (s: object) => spec({ completionMode: "Indexed", completions: 3, ...s });
const rules = (...list: object[]) => spec({ podFailurePolicy: { rules: list } });
const successes = (...list: object[]) => indexed({ successPolicy: { rules: list } });
const FAILURE = "spec.podFailurePolicy.rules[0]";
const SUCCESS = "spec.successPolicy.rules[0]";
const codes = { operator: "In", values: [1] };
const POLICY = "spec.template.spec.restartPolicy";

const BATCH: readonly Row[] = [
  ["Job", podSpec({ restartPolicy: null }), `${POLICY}: Required value: valid values: "OnFailure", "Never"`],
  ["Job", spec({ parallelism: -1, completions: -1 }), `spec.parallelism: ${NEGATIVE}`, `spec.completions: ${NEGATIVE}`],
  [
    "Job",
    spec({ completionMode: "Some" }),
    'spec.completionMode: Unsupported value: "Some": supported values: "NonIndexed", "Indexed"',
  ],
  [
    "Job",
    spec({ completionMode: "Indexed", parallelism: 1 }),
    "spec.completions: Required value: when completion mode is Indexed",
  ],
  [
    "Job",
    spec({ backoffLimitPerIndex: 1 }),
    "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
  ],
  [
    "Job",
    indexed({ maxFailedIndexes: 4 }),
    "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
    "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
  ],
  [
    "Job",
    indexed({ parallelism: 100_001 }),
    "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
  ],
  [
    "Job",
    indexed({ completions: 100_001, backoffLimitPerIndex: 1, parallelism: 10_001 }),
    "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
    "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
  ],
  [
    "Job",
    { metadata: { name: "x".repeat(62) }, ...indexed({ completions: 11 }) },
    `metadata.name: Invalid value: "${"x".repeat(62)}": will not able to create pod with invalid DNS label: ${"x".repeat(62)}-10`,
  ],
  [
    "Job",
    spec({ managedBy: "me" }),
    'spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")',
  ],
  [
    "Job",
    spec({ podReplacementPolicy: "Never" }),
    'spec.podReplacementPolicy: Unsupported value: "Never": supported values: "Failed", "TerminatingOrFailed"',
  ],
  [
    "Job",
    spec({ successPolicy: { rules: [] } }),
    'spec.successPolicy: Invalid value: {"rules":[]}: requires indexed completion mode',
  ],
  [
    "Job",
    spec({ template: { metadata: { labels: { "controller-uid": "mine" } } } }),
    `spec.template.metadata.labels[controller-uid]: Invalid value: {"job-name":"x","batch.kubernetes.io/job-name":"x","controller-uid":"mine","batch.kubernetes.io/controller-uid":"u-1"}: must be 'u-1'`,
  ],
  [
    "Job",
    spec({ selector: { matchLabels: { app: "web" } } }),
    'spec.selector: Invalid value: {"matchLabels":{"batch.kubernetes.io/controller-uid":"u-1","app":"web"}}: `selector` not auto-generated',
    `spec.template.metadata.labels: Invalid value: {"job-name":"x","batch.kubernetes.io/job-name":"x","controller-uid":"u-1","batch.kubernetes.io/controller-uid":"u-1"}: ${MISMATCH}`,
  ],
  [
    "Job",
    spec({ manualSelector: true }),
    "spec.selector: Required value",
    `spec.template.metadata.labels: Invalid value: null: ${MISMATCH}`,
  ],
  [
    "Job",
    rules({ action: "FailJob" }),
    `${FAILURE}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required`,
  ],
  [
    "Job",
    rules({ action: "FailIndex", onExitCodes: codes }),
    `${FAILURE}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set`,
  ],
  [
    "Job",
    rules({ onExitCodes: codes }),
    `${FAILURE}.action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`,
  ],
  [
    "Job",
    rules({ action: "Ignore", onExitCodes: { operator: "In", values: [0, 3, 3, 1], containerName: "b" } }),
    `${FAILURE}.onExitCodes.containerName: Invalid value: "b": must be one of the container or initContainer names in the pod template`,
    `${FAILURE}.onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator`,
    `${FAILURE}.onExitCodes.values[2]: Duplicate value: 3`,
    `${FAILURE}.onExitCodes.values: Invalid value: [0,3,3,1]: must be ordered`,
  ],
  [
    "Job",
    rules({ action: "Ignore", onPodConditions: [{ type: "Ready", status: "Perhaps" }] }),
    `${FAILURE}.onPodConditions[0].status: Unsupported value: "Perhaps": supported values: "False", "True", "Unknown"`,
  ],
  [
    "Job",
    both(rules({ action: "Ignore", onExitCodes: codes }), podSpec({ restartPolicy: "OnFailure" })),
    `${POLICY}: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified`,
  ],
  [
    "Job",
    successes({}),
    `${SUCCESS}: Required value: at least one of succeededCount or succeededIndexes must be specified`,
  ],
  [
    "Job",
    successes({ succeededIndexes: "0-3" }),
    `${SUCCESS}.succeededIndexes: Invalid value: "0-3": error parsing succeededIndexes: too large index: "3"`,
  ],
  [
    "Job",
    successes({ succeededIndexes: "0-1", succeededCount: 3 }),
    `${SUCCESS}.succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)`,
  ],
  ["CronJob", spec({ schedule: "" }), "spec.schedule: Required value"],
  [
    "CronJob",
    spec({ schedule: "* * * *" }),
    'spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]',
  ],
  [
    "CronJob",
    spec({ schedule: "TZ=UTC @daily" }),
    'spec.schedule: Invalid value: "TZ=UTC @daily": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
  ],
  [
    "CronJob",
    spec({ timeZone: "Mars/Olympus" }),
    'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus',
  ],
  [
    "CronJob",
    spec({ timeZone: "Local" }),
    'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
  ],
  [
    "CronJob",
    spec({ concurrencyPolicy: "Maybe" }),
    'spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"',
  ],
  [
    "CronJob",
    spec({ jobTemplate: { spec: { selector: {}, manualSelector: true } } }),
    "spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated",
    'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
  ],
  [
    "CronJob",
    { metadata: { name: "x".repeat(53) } },
    `metadata.name: Invalid value: "${"x".repeat(53)}": must be no more than 52 characters`,
  ],
];

testBadManifests({ Job: { spec: job }, CronJob: { spec: { schedule: "@hourly", jobTemplate: { spec: job } } } }, BATCH);
