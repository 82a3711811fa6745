/** Roles of single namespaces that are there from the start, and who has them there. */
import { BOOTSTRAPPERS, CLUSTER_INFO } from "../../api/bootstrap-token.ts";
import { EMIT, READ, type Row } from "./rule-rows.ts";

export interface NamespacedRow {
  readonly namespace: string;
  readonly role: string;
  readonly rules: readonly Row[];
  /** `Group:`, `User:` or `ServiceAccount:` with its name. */
  readonly subjects: readonly string[];
  /** The name of the binding, where it is not the role's. */
  readonly binding?: string;
}

export const CONTROLLER_MANAGER = "User:system:kube-controller-manager";
export const NODES = "Group:system:nodes";
const SCHEDULER = "User:system:kube-scheduler";
const SYSTEM = "kube-system";

const leaderRows: readonly Row[] = [
  ["create get list update watch", "coordination.k8s.io", "leases"],
  ["create get list update watch", "coordination.k8s.io", "leasecandidates"],
];
const events: Row = [EMIT, "core events.k8s.io", "events"];

export const namespacedRoleRows: readonly NamespacedRow[] = [
  {
    namespace: SYSTEM,
    role: "extension-apiserver-authentication-reader",
    rules: [[READ, "core", "configmaps", "extension-apiserver-authentication"]],
    binding: "system::extension-apiserver-authentication-reader",
    subjects: [CONTROLLER_MANAGER, SCHEDULER],
  },
  {
    namespace: SYSTEM,
    role: "system::leader-locking-kube-controller-manager",
    rules: leaderRows,
    subjects: [
      CONTROLLER_MANAGER,
      "ServiceAccount:kube-controller-manager",
      "ServiceAccount:leader-election-controller",
    ],
  },
  {
    namespace: SYSTEM,
    role: "system::leader-locking-kube-scheduler",
    rules: leaderRows,
    subjects: [SCHEDULER, "ServiceAccount:kube-scheduler"],
  },
  {
    // What a node must know of its cluster.
    namespace: SYSTEM,
    role: "mini-kube:node-config",
    rules: [[READ, "core", "configmaps", "mini-kube-config"]],
    subjects: [NODES, CONTROLLER_MANAGER],
  },
  {
    namespace: SYSTEM,
    role: "system:controller:token-cleaner",
    rules: [["delete get list watch", "core", "secrets"], events],
    subjects: ["ServiceAccount:token-cleaner", CONTROLLER_MANAGER],
  },
  {
    // What a machine must know to join: where the API servers are, and their CA.
    namespace: CLUSTER_INFO.namespace,
    role: "mini-kube:cluster-info",
    rules: [["get", "core", "configmaps", CLUSTER_INFO.name]],
    subjects: [`Group:${BOOTSTRAPPERS}`],
  },
];
