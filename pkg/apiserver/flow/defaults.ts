/**
 * The levels and schemas that every cluster has, as Kubernetes 1.36 has them. The mandatory ones hold whatever is written
 * to their objects; of the others a user may make what it likes.
 */
import type {
  FlowcontrolV1Subject,
  FlowSchema,
  PriorityLevelConfiguration,
  ResourcePolicyRule,
} from "../../api/generated/types.ts";
import { AUTHENTICATED, MASTERS, UNAUTHENTICATED } from "../../api/rbac/attributes.ts";

const API_VERSION = "flowcontrol.apiserver.k8s.io/v1";
/** "false" on an object keeps a start from changing it. */
export const AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec";
const metadata = (name: string) => ({ name, annotations: { [AUTOUPDATE]: "true" } });

interface LevelRow {
  readonly shares: number;
  /** In percent, of what it has by its shares. */
  readonly lends: number;
  readonly borrows?: number;
  /** How many, how many of them for one flow; each holds 50. Without: who finds no seat is refused at once. */
  readonly queues?: readonly [queues: number, handSize: number];
}

const QUEUE_LENGTH = 50;

const levelRows: Readonly<Record<string, LevelRow>> = {
  "catch-all": { shares: 5, lends: 0 },
  system: { shares: 40, lends: 50, queues: [64, 6] },
  "node-high": { shares: 60, lends: 50, queues: [64, 6] },
  "leader-election": { shares: 50, lends: 80, queues: [16, 4] },
  "workload-high": { shares: 40, lends: 50, queues: [128, 6] },
  event: { shares: 5, lends: 0, borrows: 100, queues: [31, 3] },
  "workload-low": { shares: 40, lends: 75, queues: [128, 6] },
  "global-default": { shares: 10, lends: 50, queues: [128, 6] },
};

function level(name: string, { shares, lends, borrows, queues }: LevelRow): PriorityLevelConfiguration {
  const limitResponse = queues
    ? { type: "Queue", queuing: { queues: queues[0], handSize: queues[1], queueLengthLimit: QUEUE_LENGTH } }
    : { type: "Reject" };
  const limited = {
    nominalConcurrencyShares: shares,
    lendablePercent: lends,
    ...(borrows !== undefined && { borrowingLimitPercent: borrows }),
    limitResponse,
  };
  const spec = { type: "Limited", limited };
  return { apiVersion: API_VERSION, kind: "PriorityLevelConfiguration", metadata: metadata(name), spec };
}

const exempt: PriorityLevelConfiguration = {
  apiVersion: API_VERSION,
  kind: "PriorityLevelConfiguration",
  metadata: metadata("exempt"),
  spec: { type: "Exempt", exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
};

export const priorityLevels: readonly PriorityLevelConfiguration[] = [
  exempt,
  ...Object.entries(levelRows).map(([name, row]) => level(name, row)),
];

interface SchemaRow {
  readonly level: string;
  readonly precedence: number;
  readonly by?: "ByUser" | "ByNamespace";
  /** `Group:`, `User:` or `ServiceAccount:` (of kube-system) with its name. */
  readonly who: readonly string[];
  /** `VERBS GROUPS RESOURCES [cluster]`, comma-separated; without: everything, paths too. */
  readonly what?: readonly string[];
  readonly paths?: string;
}

const CONTROLLER_MANAGER = "User:system:kube-controller-manager";
const SCHEDULER = "User:system:kube-scheduler";
const NODES = "Group:system:nodes";
const KUBE_SYSTEM = "ServiceAccount:*";
const ANYBODY = [`Group:${UNAUTHENTICATED}`, `Group:${AUTHENTICATED}`];
const LEASES = "get,create,update coordination.k8s.io leases";

const schemaRows: Readonly<Record<string, SchemaRow>> = {
  exempt: { level: "exempt", precedence: 1, who: [`Group:${MASTERS}`] },
  probes: { level: "exempt", precedence: 2, who: ANYBODY, what: [], paths: "/healthz /readyz /livez" },
  "system-leader-election": {
    level: "leader-election",
    precedence: 100,
    by: "ByUser",
    who: [CONTROLLER_MANAGER, SCHEDULER, KUBE_SYSTEM],
    what: [LEASES],
  },
  "endpoint-controller": {
    level: "workload-high",
    precedence: 150,
    by: "ByUser",
    who: [CONTROLLER_MANAGER, "ServiceAccount:endpoint-controller", "ServiceAccount:endpointslicemirroring-controller"],
    what: ["get,create,update core endpoints"],
  },
  "workload-leader-election": {
    level: "leader-election",
    precedence: 200,
    by: "ByUser",
    who: [KUBE_SYSTEM],
    what: ["get,create,update core endpoints,configmaps", LEASES],
  },
  "system-node-high": {
    level: "node-high",
    precedence: 400,
    by: "ByUser",
    who: [NODES],
    what: ["* core nodes,nodes/status cluster", "* coordination.k8s.io leases"],
  },
  events: {
    level: "event",
    precedence: 450,
    by: "ByUser",
    who: [`Group:${AUTHENTICATED}`],
    what: ["create,update,patch,delete core,events.k8s.io events"],
  },
  "system-nodes": { level: "system", precedence: 500, by: "ByUser", who: [NODES] },
  "kube-controller-manager": { level: "workload-high", precedence: 800, by: "ByNamespace", who: [CONTROLLER_MANAGER] },
  "kube-scheduler": { level: "workload-high", precedence: 800, by: "ByNamespace", who: [SCHEDULER] },
  "kube-system-service-accounts": { level: "workload-high", precedence: 900, by: "ByNamespace", who: [KUBE_SYSTEM] },
  "service-accounts": { level: "workload-low", precedence: 9000, by: "ByUser", who: ["Group:system:serviceaccounts"] },
  "global-default": { level: "global-default", precedence: 9900, by: "ByUser", who: ANYBODY },
  "catch-all": { level: "catch-all", precedence: 10_000, by: "ByUser", who: ANYBODY },
};

function subject(word: string): FlowcontrolV1Subject {
  const colon = word.indexOf(":");
  const [kind, name] = [word.slice(0, colon), word.slice(colon + 1)];
  if (kind === "Group") return { kind, group: { name } };
  return kind === "User" ? { kind, user: { name } } : { kind, serviceAccount: { namespace: "kube-system", name } };
}

function resourceRule(row: string): ResourcePolicyRule {
  const [verbs = "", groups = "", resources = "", cluster] = row.split(" ");
  return {
    verbs: verbs.split(","),
    apiGroups: groups.split(",").map((g) => (g === "core" ? "" : g)),
    resources: resources.split(","),
    namespaces: ["*"],
    ...(cluster && { clusterScope: true }),
  };
}

function schema(name: string, row: SchemaRow): FlowSchema {
  const { what = ["* * * cluster"], paths = row.what ? undefined : "*" } = row;
  const rule = {
    subjects: row.who.map(subject),
    ...(what.length > 0 && { resourceRules: what.map(resourceRule) }),
    ...(paths !== undefined && {
      nonResourceRules: [{ verbs: [paths === "*" ? "*" : "get"], nonResourceURLs: paths.split(" ") }],
    }),
  };
  const spec = {
    ...(row.by && { distinguisherMethod: { type: row.by } }),
    matchingPrecedence: row.precedence,
    priorityLevelConfiguration: { name: row.level },
    rules: [rule],
  };
  return { apiVersion: API_VERSION, kind: "FlowSchema", metadata: metadata(name), spec };
}

export const defaultSchemas: readonly FlowSchema[] = Object.entries(schemaRows).map(([name, row]) => schema(name, row));

/** Of levels and of schemas. */
export const MANDATORY: readonly string[] = ["exempt", "catch-all"];
