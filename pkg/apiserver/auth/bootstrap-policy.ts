/**
 * The roles and bindings that every cluster has, as Kubernetes 1.36 has them (its rbac/bootstrappolicy), less those of
 * optional parts that are not here.
 */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding } from "../../api/generated/types.ts";
import { DEFAULT_TOKEN_GROUP } from "../../api/bootstrap-token.ts";
import { AUTHENTICATED, MASTERS, UNAUTHENTICATED } from "../../api/rbac/attributes.ts";
import { own } from "../../util/keys.ts";
import { clusterRoleRows } from "./cluster-role-rows.ts";
import { controllerRoleRows } from "./controller-role-rows.ts";
import { CONTROLLER_MANAGER, namespacedRoleRows, NODES } from "./namespaced-role-rows.ts";
import { pathsRule, ruleOf } from "./rule-rows.ts";

const GROUP = "rbac.authorization.k8s.io";
const API_VERSION = `${GROUP}/v1`;
/** "false" on an object keeps a start from changing it. */
export const AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate";
const LABELS = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const ANNOTATIONS = { [AUTOUPDATE]: "true" };

/** Addresses that are no resources, with `get` where no verb is said. */
const paths: Readonly<Record<string, PolicyRule>> = {
  "cluster-admin": pathsRule("*", "*"),
  "system:discovery": pathsRule(
    "get",
    "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
  ),
  "system:monitoring": pathsRule(
    "get",
    "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz",
  ),
  "system:public-info-viewer": pathsRule("get", "/healthz /livez /readyz /version /version/"),
  "system:service-account-issuer-discovery": pathsRule(
    "get",
    "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
  ),
};

const aggregate = (to: string) => ({ [`${GROUP}/aggregate-to-${to}`]: "true" });

/** Roles of other roles' rules: those with the label. */
const aggregated: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  admin: {},
  edit: aggregate("admin"),
  view: aggregate("edit"),
};

/** Whose rules go into which aggregated role. */
const partOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "system:aggregate-to-admin": aggregate("admin"),
  "system:aggregate-to-edit": aggregate("edit"),
  "system:aggregate-to-view": aggregate("view"),
};

/** What an agent that is a program of its own does as the node itself. */
const nodesAct: ReadonlySet<string> = new Set(["node-network"]);

/** Role → who has it everywhere: `Group:`, `User:` or `ServiceAccount:` with its name. */
const boundTo: Readonly<Record<string, readonly string[]>> = {
  "cluster-admin": [`Group:${MASTERS}`],
  "system:basic-user": [`Group:${AUTHENTICATED}`],
  "system:discovery": [`Group:${AUTHENTICATED}`],
  "system:kube-controller-manager": [CONTROLLER_MANAGER],
  "system:kube-dns": ["ServiceAccount:kube-dns"],
  "system:kube-scheduler": ["User:system:kube-scheduler"],
  "system:monitoring": ["Group:system:monitoring"],
  // Who shows a token asks for a node's first certificate, and nodes for their next ones.
  "system:node-bootstrapper": [`Group:${DEFAULT_TOKEN_GROUP}`],
  "system:certificates.k8s.io:certificatesigningrequests:nodeclient": [`Group:${DEFAULT_TOKEN_GROUP}`],
  "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": [NODES],
  // Nobody: the node authorizer decides for nodes.
  "system:node": [],
  "system:node-proxier": ["User:system:kube-proxy"],
  "system:public-info-viewer": [`Group:${AUTHENTICATED}`, `Group:${UNAUTHENTICATED}`],
  "system:service-account-issuer-discovery": ["Group:system:serviceaccounts"],
  "system:volume-scheduler": ["User:system:kube-scheduler"],
};

const metadata = (name: string, labels: Readonly<Record<string, string>> = {}) => ({
  name,
  labels: { ...LABELS, ...labels },
  annotations: { ...ANNOTATIONS },
});

function clusterRole(name: string, rules: PolicyRule[], labels?: Readonly<Record<string, string>>): ClusterRole {
  return { apiVersion: API_VERSION, kind: "ClusterRole", metadata: metadata(name, labels), rules };
}

function aggregatedRole(name: string, labels: Readonly<Record<string, string>>): ClusterRole {
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels: aggregate(name) }] };
  return { ...clusterRole(name, [], labels), aggregationRule };
}

function subject(word: string) {
  const colon = word.indexOf(":");
  const [kind, name] = [word.slice(0, colon), word.slice(colon + 1)];
  return kind === "ServiceAccount" ? { kind, name, namespace: "kube-system" } : { apiGroup: GROUP, kind, name };
}

function clusterBinding(role: string, subjects: readonly string[]): ClusterRoleBinding {
  return {
    apiVersion: API_VERSION,
    kind: "ClusterRoleBinding",
    metadata: metadata(role),
    roleRef: { apiGroup: GROUP, kind: "ClusterRole", name: role },
    subjects: subjects.map(subject),
  };
}

const names = new Set([...Object.keys(clusterRoleRows), ...Object.keys(paths)]);

export const clusterRoles: readonly ClusterRole[] = [
  ...[...names].map((name) => {
    const rows = own(clusterRoleRows, name) ?? [];
    const path = own(paths, name);
    return clusterRole(name, [...rows.map(ruleOf), ...(path ? [path] : [])], own(partOf, name));
  }),
  ...Object.entries(aggregated).map(([name, labels]) => aggregatedRole(name, labels)),
  ...Object.entries(controllerRoleRows).map(([name, rows]) =>
    clusterRole(`system:controller:${name}`, rows.map(ruleOf)),
  ),
];

export const clusterRoleBindings: readonly ClusterRoleBinding[] = [
  ...Object.entries(boundTo).map(([role, subjects]) => clusterBinding(role, subjects)),
  // One program runs all controllers here, under one name.
  ...Object.keys(controllerRoleRows).map((name) =>
    clusterBinding(`system:controller:${name}`, [
      `ServiceAccount:${name}`,
      CONTROLLER_MANAGER,
      ...(nodesAct.has(name) ? [NODES] : []),
    ]),
  ),
];

export const namespacedRoles: readonly Role[] = namespacedRoleRows.map(({ namespace, role, rules }) => ({
  apiVersion: API_VERSION,
  kind: "Role",
  metadata: { ...metadata(role), namespace },
  rules: rules.map(ruleOf),
}));

export const namespacedRoleBindings: readonly RoleBinding[] = namespacedRoleRows.map((row) => ({
  apiVersion: API_VERSION,
  kind: "RoleBinding",
  metadata: { ...metadata(row.binding ?? row.role), namespace: row.namespace },
  roleRef: { apiGroup: GROUP, kind: "Role", name: row.role },
  subjects: row.subjects.map(subject),
}));

/** What the node authorizer grants every node where it looks no closer. */
export const nodeRules: readonly PolicyRule[] = (clusterRoleRows["system:node"] ?? []).map(ruleOf);
