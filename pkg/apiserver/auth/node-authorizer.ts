/**
 * What a node's agent may do: little more than what the Pods bound to it need. What an object written by a node may say
 * is admission's part (admission/node-restriction.ts); here only the address counts.
 */
import { VOLUME_NODE } from "../../api/volumes.ts";
import { persistentVolumes } from "../../api/kinds/core/persistentvolume.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { volumeAttachments } from "../../api/kinds/storage/volumeattachment.ts";
import { parseFieldSelector } from "../../api/selectors.ts";
import { podReferences } from "../../api/pod-references.ts";
import type { Attributes, User } from "../../api/rbac/attributes.ts";
import type { Verdict } from "../../api/rbac/policy.ts";
import { ruleAllows } from "../../api/rbac/rules.ts";
import { own } from "../../util/keys.ts";
import type { ClusterView } from "../admission.ts";
import { nodeRules } from "./bootstrap-policy.ts";

const USER_PREFIX = "system:node:";
const GROUP = "system:nodes";
const LEASES = "kube-node-lease";

/** The name of the node that this user is; "" for one of the group whose name says none, undefined for all others. */
export function nodeIdentity(user: User): string | undefined {
  if (!user.groups.includes(GROUP)) return undefined;
  return user.name.startsWith(USER_PREFIX) ? user.name.slice(USER_PREFIX.length) : "";
}

interface NodeCall {
  readonly a: Attributes;
  readonly node: string;
  readonly view: ClusterView;
}

/** Allowed, or why it is not; "" where there is nothing to add. */
type Opinion = true | string;

/** Undefined: not a node. */
export function authorizeNode(a: Attributes, view: ClusterView): Verdict | undefined {
  const node = nodeIdentity(a.user);
  if (node === undefined) return undefined;
  if (node === "") return { allowed: false, reason: `unknown node for user ${JSON.stringify(a.user.name)}` };
  const opinion = opinionOn({ a, node, view });
  return opinion === true ? { allowed: true, reason: "" } : { allowed: false, reason: opinion };
}

function opinionOn(c: NodeCall): Opinion {
  const special = c.a.path === undefined && own(byResource, `${c.a.apiGroup}/${c.a.resource}`);
  if (special) return special(c);
  return nodeRules.some((rule) => ruleAllows(rule, c.a)) || "";
}

/** The resources of which a node sees only its own. */
const byResource: Readonly<Record<string, (c: NodeCall) => Opinion>> = {
  "/secrets": readRelated,
  "/configmaps": readRelated,
  "/persistentvolumeclaims": (c) => (c.a.subresource === "status" ? updateStatus(c) : getRelated(c)),
  "/persistentvolumes": ownVolumes,
  "storage.k8s.io/volumeattachments": getRelated,
  "/serviceaccounts": (c) => (c.a.verb === "get" && c.a.subresource === "" ? readRelated(c) : createToken(c)),
  "coordination.k8s.io/leases": ownLease,
  "storage.k8s.io/csinodes": ownCsiNode,
  "/nodes": ownNode,
  "/pods": ownPods,
};

const READS = new Set(["get", "list", "watch"]);
const OWN_VERBS = new Set(["get", "create", "update", "patch", "delete"]);

function readRelated(c: NodeCall): Opinion {
  if (!READS.has(c.a.verb)) return "can only read resources of this type";
  if (c.a.subresource !== "") return "cannot read subresource";
  if (c.a.namespace === "") return "can only read namespaced object of this type";
  return ifRelated(c);
}

function getRelated(c: NodeCall): Opinion {
  if (c.a.verb !== "get") return "can only get individual resources of this type";
  if (c.a.subresource !== "") return "cannot get subresource";
  return ifRelated(c);
}

/** Beside what its Pods claim: the volumes that are directories on it, which it removes when their time is over. */
function ownVolumes(c: NodeCall): Opinion {
  const { verb, name, subresource, labelSelector } = c.a;
  if (verb === "get" || subresource !== "") return getRelated(c);
  if (verb === "delete") {
    const own = c.view.get(persistentVolumes, "", name)?.metadata.labels?.[VOLUME_NODE] === c.node;
    return own || "can only delete volumes that are on the node itself";
  }
  const selected = (verb === "list" || verb === "watch") && labelSelector === `${VOLUME_NODE}=${c.node}`;
  return selected || "can only list/watch volumes that are on the node itself, by label";
}

function updateStatus(c: NodeCall): Opinion {
  if (c.a.verb !== "update" && c.a.verb !== "patch") return "can only get/update/patch this type";
  return ifRelated(c);
}

function createToken(c: NodeCall): Opinion {
  if (c.a.verb !== "create" || c.a.name === "") return "can only create tokens for individual service accounts";
  if (c.a.subresource !== "token") return "can only create token subresource of serviceaccount";
  return ifRelated(c);
}

/** What is created has no name yet; that it will be the node's own is admission's to see. */
function ownLease({ a, node }: NodeCall): Opinion {
  if (!OWN_VERBS.has(a.verb)) return "can only get, create, update, patch, or delete a node lease";
  if (a.namespace !== LEASES) return `can only access leases in the ${JSON.stringify(LEASES)} system namespace`;
  if (a.verb !== "create" && a.name !== node)
    return "can only access node lease with the same name as the requesting node";
  return true;
}

function ownCsiNode({ a, node }: NodeCall): Opinion {
  if (!OWN_VERBS.has(a.verb)) return "can only get, create, update, patch, or delete a CSINode";
  if (a.subresource !== "") return "cannot authorize CSINode subresources";
  if (a.verb !== "create" && a.name !== node)
    return "can only access CSINode with the same name as the requesting node";
  return true;
}

function ownNode({ a, node }: NodeCall): Opinion {
  if (a.subresource === "status") return a.verb === "update" || a.verb === "patch" || "";
  if (a.subresource !== "") return "";
  if (!READS.has(a.verb)) return ["create", "update", "patch"].includes(a.verb) || "";
  if (a.name === node) return true;
  if (a.name === "") return `node '${node}' cannot read all nodes, only its own Node object`;
  return `node '${node}' cannot read '${a.name}', only its own Node object`;
}

function ownPods(c: NodeCall): Opinion {
  const { a } = c;
  if (a.subresource === "status") return a.verb === "update" || a.verb === "patch" || "";
  if (a.subresource === "eviction") return a.verb === "create" || "";
  if (a.subresource !== "") return "";
  if (a.verb === "get") return getRelated(c);
  if (a.verb === "create" || a.verb === "delete") return true;
  if (a.verb !== "list" && a.verb !== "watch") return "";
  if (selectsOwn(c)) return true;
  return a.name === "" ? "can only list/watch pods with spec.nodeName field selector" : ifRelated(c);
}

function selectsOwn({ a, node }: NodeCall): boolean {
  if (!a.fieldSelector) return false;
  try {
    return parseFieldSelector(a.fieldSelector).some((r) => r.field === "spec.nodeName" && r.equal && r.value === node);
  } catch {
    // Refused later, with what is wrong with it.
    return false;
  }
}

function ifRelated(c: NodeCall): Opinion {
  if (c.a.name === "") return "No Object name found";
  return isRelated(c, c.a) || `no relationship found between node '${c.node}' and this object`;
}

function isRelated({ node, view }: NodeCall, o: Pick<Attributes, "resource" | "namespace" | "name">): boolean {
  const { resource, namespace, name } = o;
  switch (resource) {
    case "pods":
      return view.get(pods, namespace, name)?.spec?.nodeName === node;
    case "volumeattachments":
      return view.get(volumeAttachments, "", name)?.spec.nodeName === node;
    case "persistentvolumes": {
      const claim = view.get(persistentVolumes, "", name)?.spec?.claimRef;
      return (
        claim !== undefined && isNeeded(view, node, "persistentvolumeclaims", claim.namespace ?? "", claim.name ?? "")
      );
    }
    case "secrets":
    case "configmaps":
    case "persistentvolumeclaims":
    case "serviceaccounts":
      return isNeeded(view, node, resource, namespace, name);
    default:
      return false;
  }
}

type Needed = keyof ReturnType<typeof podReferences>;

/** Whether a Pod of the node in that namespace refers to it. */
function isNeeded(view: ClusterView, node: string, what: Needed, namespace: string, name: string): boolean {
  for (const pod of view.list(pods, namespace)) {
    if (pod.spec?.nodeName === node && podReferences(pod)[what].has(name)) return true;
  }
  return false;
}
