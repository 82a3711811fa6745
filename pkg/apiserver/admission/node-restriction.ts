/**
 * NodeRestriction: a node writes only about itself and the Pods bound to it. The node authorizer has looked at the
 * address; here is what only the object tells.
 */
import { deepEqual } from "../../api/equal.ts";
import type {
  AuthenticationV1TokenRequest,
  CSINode,
  EndpointSlice,
  Node,
  PersistentVolumeClaim,
  Pod,
  PodSpec,
  Service,
} from "../../api/generated/types.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { nameOf, uidOf } from "../../api/object.ts";
import type { User } from "../../api/rbac/attributes.ts";
import { MIRROR_ANNOTATION, collectReferences } from "../../api/pod-references.ts";
import { ApiError, notFound } from "../../api/status.ts";
import { DNS_NAMESPACE, DNS_SERVICE, dnsSliceName, PROXY_NAMESPACE, proxyLeaseName } from "../../api/traffic.ts";
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../admission.ts";
import { nodeIdentity } from "../auth/node-authorizer.ts";
import { forbidden } from "./refuse.ts";

interface NodeWrite {
  readonly r: AdmissionRequest;
  readonly node: string;
  readonly view: ClusterView;
}

/** Why it is refused; undefined: it is not. */
type Refusal = string | undefined;

export const nodeRestriction: AdmissionPlugin = {
  name: "NodeRestriction",
  validate(r, view) {
    const node = nodeIdentity(r.user);
    if (node === undefined) return;
    const check = node === "" ? nameless : own(checks, `${r.def.group}/${r.def.plural}`);
    const why = check?.({ r, node, view });
    if (why !== undefined) throw forbidden(r, why);
  },
};

const nameless = ({ r }: NodeWrite) => `could not determine node from user ${JSON.stringify(r.user.name)}`;

const checks: Readonly<Record<string, (w: NodeWrite) => Refusal>> = {
  "/pods": checkPod,
  "/nodes": checkNode,
  "/persistentvolumeclaims": checkClaim,
  "coordination.k8s.io/leases": checkLease,
  "/services": checkService,
  "discovery.k8s.io/endpointslices": checkSlice,
  "storage.k8s.io/csinodes": ({ r, node }) =>
    named(r) === node ? undefined : "can only access CSINode with the same name as the requesting node",
};

/** Of what is being created, the body's. */
const named = (r: AdmissionRequest) => (r.object as CSINode | undefined)?.metadata.name ?? r.name;

/** Its heartbeat, and how far its service proxy has come. */
function checkLease({ r, node }: NodeWrite): Refusal {
  if (r.namespace === PROXY_NAMESPACE && named(r) === proxyLeaseName(node) && r.operation !== "DELETE")
    return undefined;
  if (r.namespace !== "kube-node-lease") return 'can only access leases in the "kube-node-lease" system namespace';
  return named(r) === node ? undefined : "can only access node lease with the same name as the requesting node";
}

/**
 * A node that comes first makes the Service of the cluster's DNS. It could draw traffic to itself by any other; by this one,
 * too, if its own endpoint served other nodes' Pods.
 */
function checkService({ r, node }: NodeWrite): Refusal {
  const service = r.object as Service | undefined;
  const isDns = r.operation === "CREATE" && r.namespace === DNS_NAMESPACE && named(r) === DNS_SERVICE;
  const { type = "ClusterIP", externalIPs = [], selector, internalTrafficPolicy } = service?.spec ?? {};
  const staysOnNode = type === "ClusterIP" && externalIPs.length === 0 && internalTrafficPolicy === "Local";
  if (isDns && staysOnNode && !selector) return undefined;
  return `node ${JSON.stringify(node)} can only create the Service of the cluster's DNS, with internalTrafficPolicy Local`;
}

/** Where its own Pods find DNS: on the node itself. */
function checkSlice({ r, node }: NodeWrite): Refusal {
  const who = `node ${JSON.stringify(node)}`;
  const isOwn = r.namespace === DNS_NAMESPACE && named(r) === dnsSliceName(node) && r.operation !== "DELETE";
  if (!isOwn) return `${who} can only write the EndpointSlice of its own DNS`;
  const slice = r.object as EndpointSlice;
  if (slice.metadata.labels?.["kubernetes.io/service-name"] !== DNS_SERVICE) return `${who} can only serve DNS`;
  return slice.endpoints?.every((e) => e.nodeName === node) ? undefined : `${who} can only offer endpoints of its own`;
}

function checkPod(w: NodeWrite): Refusal {
  switch (w.r.subresource) {
    case "":
      return checkWholePod(w);
    case "status":
      return checkPodStatus(w);
    case "eviction":
      // Looked at where the Pod is known: checkEvictor.
      return undefined;
    default:
      return `unexpected pod subresource ${JSON.stringify(w.r.subresource)}, only 'status' and 'eviction' are allowed`;
  }
}

function checkWholePod(w: NodeWrite): Refusal {
  const { r, node } = w;
  const who = JSON.stringify(node);
  if (r.operation === "CREATE") return checkMirrorPod(w, r.object as Pod);
  if (r.operation === "DELETE") {
    if ((r.old as DeepReadonly<Pod>).spec?.nodeName === node) return undefined;
    return `node ${who} can only delete pods with spec.nodeName set to itself`;
  }
  return `unexpected operation "${r.operation}", node ${who} can only create and delete mirror pods`;
}

/** What a node runs on its own is shown by it, and must not open anything to it. */
function checkMirrorPod(w: NodeWrite, pod: Pod): Refusal {
  const who = `node ${JSON.stringify(w.node)}`;
  if (pod.metadata.annotations?.[MIRROR_ANNOTATION] === undefined) {
    return `pod does not have "${MIRROR_ANNOTATION}" annotation, ${who} can only create mirror pods`;
  }
  if (pod.spec?.nodeName !== w.node) return `${who} can only create pods with spec.nodeName set to itself`;
  return checkMirrorOwner(w, pod) ?? checkMirrorReferences(who, pod.spec);
}

function checkMirrorOwner({ node, view }: NodeWrite, pod: Pod): Refusal {
  const who = `node ${JSON.stringify(node)}`;
  const [owner, ...others] = pod.metadata.ownerReferences ?? [];
  if (others.length > 0) return `${who} can only create pods with a single owner reference set to itself`;
  if (owner?.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== node) {
    return `${who} can only create pods with an owner reference set to itself`;
  }
  if (!owner.controller) return `${who} can only create pods with a controller owner reference set to itself`;
  if (owner.blockOwnerDeletion) return `${who} must not set blockOwnerDeletion on an owner reference`;
  const self = view.get(nodes, "", node);
  if (!self) throw notFound({ group: "", resource: "nodes" }, node);
  return owner.uid === uidOf(self) ? undefined : `node ${node} UID mismatch: expected ${owner.uid} got ${uidOf(self)}`;
}

function checkMirrorReferences(who: string, spec: PodSpec): Refusal {
  const found = Object.entries(collectReferences(spec, "")).find(([, names]) => names.size > 0);
  return found && `${who} can not create pods that reference ${found[0]}`;
}

function checkPodStatus({ r, node }: NodeWrite): Refusal {
  const [old, next] = [r.old as DeepReadonly<Pod>, r.object as Pod];
  const who = `node ${JSON.stringify(node)}`;
  if (old.spec?.nodeName !== node) {
    return `${who} can only update pod status for pods with spec.nodeName set to itself`;
  }
  if (!deepEqual(old.metadata.labels ?? {}, next.metadata.labels ?? {})) {
    return `${who} cannot update labels through pod status`;
  }
  const claims = [old, next].map((p) => p.status?.resourceClaimStatuses ?? []);
  return deepEqual(claims[0], claims[1]) ? undefined : `${who} cannot update resource claim statues`;
}

function checkClaim({ r, node }: NodeWrite): Refusal {
  if (r.subresource !== "status") return "may only update PVC status";
  const [old, next] = [r.old, r.object].map((o) => withoutReported(o as DeepReadonly<PersistentVolumeClaim>));
  if (deepEqual(old, next)) return undefined;
  return `node ${JSON.stringify(node)} is not allowed to update fields other than status.quantity and status.conditions`;
}

const REPORTED = new Set(["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"]);

/** All but what the node that mounts it reports. */
function withoutReported(o: DeepReadonly<PersistentVolumeClaim>): object {
  const { resourceVersion: _, managedFields: __, ...metadata } = o.metadata;
  const status = Object.entries(o.status ?? {}).filter(([field]) => !REPORTED.has(field));
  return { ...o, metadata, status: Object.fromEntries(status) };
}

function checkNode({ r, node }: NodeWrite): Refusal {
  const who = `node ${JSON.stringify(node)}`;
  if (r.name !== node) return `${who} is not allowed to modify node ${JSON.stringify(r.name)}`;
  if (r.operation !== "CREATE" && r.operation !== "UPDATE") return undefined;
  const [old, next] = [r.old as DeepReadonly<Node> | undefined, r.object as Node];
  if (old) {
    if (!deepEqual(next.spec?.taints ?? [], old.spec?.taints ?? [])) return `${who} is not allowed to modify taints`;
    if (!deepEqual(next.metadata.ownerReferences ?? [], old.metadata.ownerReferences ?? [])) {
      return `${who} is not allowed to modify ownerReferences`;
    }
  }
  const labels = changedLabels(old?.metadata.labels, next.metadata.labels).filter(isReserved).toSorted().join(", ");
  if (labels === "") return undefined;
  return old
    ? `is not allowed to modify labels: ${labels}`
    : `${who} is not allowed to set the following labels: ${labels}`;
}

type Labels = Readonly<Record<string, string>>;

function changedLabels(before: Labels = {}, after: Labels = {}): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((k) => before[k] !== after[k]);
}

/** What a node may say of itself among Kubernetes' own labels. */
const NODE_LABELS: ReadonlySet<string> = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
  "beta.kubernetes.io/instance-type",
  "node.kubernetes.io/instance-type",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
]);
const NODE_DOMAINS = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/** By other labels of Kubernetes a node could draw Pods to itself that are meant for others. */
function isReserved(label: string): boolean {
  const domain = label.includes("/") ? label.slice(0, label.indexOf("/")) : "";
  const within = (d: string) => domain === d || domain.endsWith(`.${d}`);
  if (within("node-restriction.kubernetes.io")) return true;
  if (!within("kubernetes.io") && !within("k8s.io")) return false;
  return !NODE_LABELS.has(label) && !NODE_DOMAINS.some(within);
}

/** Of a node's request for a ServiceAccount's token: it is for a Pod that runs there. */
export function refuseTokenOf(
  node: string,
  request: DeepReadonly<AuthenticationV1TokenRequest>,
  o: { readonly view: ClusterView; readonly namespace: string },
): Refusal {
  const ref = request.spec?.boundObjectRef;
  if (ref?.apiVersion !== "v1" || ref.kind !== "Pod" || !ref.name) return "node requested token not bound to a pod";
  if (!ref.uid) return "node requested token with a pod binding without a uid";
  const pod = o.view.get(pods, o.namespace, ref.name);
  if (!pod) throw notFound({ group: "", resource: "pods" }, ref.name);
  if (ref.uid !== uidOf(pod)) {
    return `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
  }
  if (pod.spec?.nodeName !== node) return "node requested token bound to a pod scheduled on a different node";
  const { audiences = [] } = request.spec ?? {};
  if (audiences.length > 1) return "node may only request 0 or 1 audiences";
  const [audience = ""] = audiences;
  const sources = (pod.spec.volumes ?? []).flatMap((v) => v.projected?.sources ?? []);
  if (sources.some((s) => s.serviceAccountToken && (s.serviceAccountToken.audience ?? "") === audience)) {
    return undefined;
  }
  const who = `system:node:${node} is not authorized to request tokens for this audience`;
  return `audience ${JSON.stringify(audience)} not found in pod spec volume, ${who}`;
}

/** Of a node's wish to evict: a Pod that runs there. Throws Forbidden. */
export function checkEvictor(user: User, pod: DeepReadonly<Pod>): void {
  const node = nodeIdentity(user);
  if (node === undefined || (node !== "" && pod.spec?.nodeName === node)) return;
  const name = nameOf(pod);
  const why = `node ${node} can only evict pods with spec.nodeName set to itself`;
  throw new ApiError("Forbidden", `pods ${JSON.stringify(name)} is forbidden: ${why}`, { name, kind: "pods" });
}
