import { describe, expect, test } from "@jest/globals";
import type { Pod } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { persistentVolumes } from "../../api/kinds/core/persistentvolume.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { onPath, onResource } from "../../api/rbac/attributes.ts";
import { viewOf } from "../admission/testing/requests.ts";
import { authorizeNode } from "./node-authorizer.ts";

const user = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };
const NONE = "no relationship found between node 'n1' and this object";

const pod = (name: string, nodeName: string, spec: Partial<Pod["spec"]> = {}, annotations = {}): Pod => ({
  metadata: { name, namespace: "a", annotations },
  spec: { containers: [{ name: "c" }], nodeName, ...spec },
});

const view = viewOf(
  [nodes, { metadata: { name: "n1" } }],
  [
    pods,
    pod("mine", "n1", {
      serviceAccountName: "bot",
      imagePullSecrets: [{ name: "pull" }],
      containers: [
        {
          name: "c",
          env: [{ name: "A", valueFrom: { secretKeyRef: { name: "env", key: "k" } } }],
          envFrom: [{ configMapRef: { name: "all" } }],
        },
      ],
      volumes: [
        { name: "s", secret: { secretName: "mounted" } },
        { name: "p", projected: { sources: [{ configMap: { name: "projected" } }, { secret: { name: "deep" } }] } },
        { name: "d", persistentVolumeClaim: { claimName: "data" } },
        { name: "e", ephemeral: { volumeClaimTemplate: { spec: {} } } },
      ],
    }),
  ],
  [pods, pod("other", "n2", { volumes: [{ name: "s", secret: { secretName: "others" } }] })],
  [
    pods,
    pod(
      "mirror",
      "n1",
      { volumes: [{ name: "s", secret: { secretName: "stolen" } }] },
      {
        "kubernetes.io/config.mirror": "x",
      },
    ),
  ],
  [persistentVolumes, { metadata: { name: "pv" }, spec: { claimRef: { namespace: "a", name: "data" } } } as never],
  [persistentVolumes, { metadata: { name: "free" }, spec: {} } as never],
  [persistentVolumes, { metadata: { name: "here", labels: { "mini-kube.io/node": "n1" } }, spec: {} } as never],
  [persistentVolumes, { metadata: { name: "there", labels: { "mini-kube.io/node": "n2" } }, spec: {} } as never],
);

const ONLY_OWN_VOLUMES = "can only list/watch volumes that are on the node itself, by label";

/** `verb resource[/sub] [namespace/]name` → true, or why not. */
const cases: readonly [string, true | string][] = [
  ["get secrets a/pull", true],
  ["get secrets a/env", true],
  ["watch secrets a/mounted", true],
  ["list secrets a/deep", true],
  ["get secrets a/others", NONE],
  ["get secrets a/stolen", NONE],
  ["get secrets b/mounted", NONE],
  ["list secrets a/", "No Object name found"],
  ["list secrets ", "can only read namespaced object of this type"],
  ["delete secrets a/mounted", "can only read resources of this type"],
  ["get configmaps a/all", true],
  ["get configmaps a/projected", true],
  ["get configmaps a/mounted", NONE],
  ["get persistentvolumeclaims a/data", true],
  ["get persistentvolumeclaims a/mine-e", true],
  ["list persistentvolumeclaims a/data", "can only get individual resources of this type"],
  ["patch persistentvolumeclaims/status a/data", true],
  ["get persistentvolumes pv", true],
  ["get persistentvolumes free", NONE],
  ["delete persistentvolumes here", true],
  ["delete persistentvolumes there", "can only delete volumes that are on the node itself"],
  ["delete persistentvolumes gone", "can only delete volumes that are on the node itself"],
  ["update persistentvolumes here", ONLY_OWN_VOLUMES],
  ["list persistentvolumes ", ONLY_OWN_VOLUMES],
  ["watch persistentvolumes #mini-kube.io/node=n1", true],
  ["list persistentvolumes #mini-kube.io/node=n2", ONLY_OWN_VOLUMES],
  ["list persistentvolumes #mini-kube.io/node", ONLY_OWN_VOLUMES],
  ["create serviceaccounts/token a/bot", true],
  ["get serviceaccounts a/bot", true],
  ["create serviceaccounts/token a/default", NONE],
  ["delete serviceaccounts a/bot", "can only create tokens for individual service accounts"],
  ["update coordination.k8s.io/leases kube-node-lease/n1", true],
  ["create coordination.k8s.io/leases kube-node-lease/", true],
  [
    "update coordination.k8s.io/leases kube-node-lease/n2",
    "can only access node lease with the same name as the requesting node",
  ],
  ["get coordination.k8s.io/leases a/n1", 'can only access leases in the "kube-node-lease" system namespace'],
  ["list coordination.k8s.io/leases kube-node-lease/", "can only get, create, update, patch, or delete a node lease"],
  ["get nodes n1", true],
  ["watch nodes n1", true],
  ["get nodes n2", "node 'n1' cannot read 'n2', only its own Node object"],
  ["list nodes ", "node 'n1' cannot read all nodes, only its own Node object"],
  ["create nodes ", true],
  ["patch nodes/status n1", true],
  ["delete nodes n1", ""],
  ["get pods a/mine", true],
  ["get pods a/other", NONE],
  ["list pods ", "can only list/watch pods with spec.nodeName field selector"],
  ["watch pods ?spec.nodeName=n1", true],
  ["watch pods ?spec.nodeName!=n1", "can only list/watch pods with spec.nodeName field selector"],
  ["watch pods ?spec.nodeName=n2", "can only list/watch pods with spec.nodeName field selector"],
  ["list pods ?a=b,spec.nodeName=n1", true],
  ["list pods ?=", "can only list/watch pods with spec.nodeName field selector"],
  ["patch pods/status a/mine", true],
  ["delete pods a/other", true],
  ["create pods/eviction a/mine", true],
  ["update pods a/mine", ""],
  ["create pods/exec a/mine", ""],
  ["list services ", true],
  ["create services a/", ""],
  ["create events a/", true],
  ["create authorization.k8s.io/subjectaccessreviews ", true],
  ["list apps/deployments ", ""],
];

function ask(question: string) {
  const [verb = "", what = "", where = ""] = question.split(" ");
  const words = what.split("/");
  const apiGroup = words.length > 1 && /\.|^apps$/.test(words[0] ?? "") ? (words.shift() ?? "") : "";
  const [resource = "", subresource = ""] = words;
  const [before = "", labelSelector] = where.split("#");
  const [address = "", fieldSelector] = before.split("?");
  const [namespace = "", name = ""] = address.includes("/") ? address.split("/") : ["", address];
  const attributes = { apiGroup, resource, subresource, namespace, name };
  const selectors = { ...(fieldSelector !== undefined && { fieldSelector }), ...(labelSelector && { labelSelector }) };
  return onResource(user, verb, { ...attributes, ...selectors });
}

test.each(cases)("%s: %j", (question, expected) => {
  const verdict = authorizeNode(ask(question), view);
  expect(verdict).toEqual({ allowed: expected === true, reason: expected === true ? "" : expected });
});

describe("who is a node", () => {
  test("one of the group, by its name", () => {
    const what = { resource: "nodes", name: "n1" };
    expect(authorizeNode(onResource({ name: "system:node:n1", groups: [] }, "get", what), view)).toBeUndefined();
    expect(authorizeNode(onResource({ name: "eve", groups: ["system:nodes"] }, "get", what), view)).toEqual({
      allowed: false,
      reason: 'unknown node for user "eve"',
    });
  });

  test("paths are not a node's business", () => {
    expect(authorizeNode(onPath(user, "get", "/metrics"), view)).toEqual({ allowed: false, reason: "" });
  });
});
