import { describe, expect, test } from "@jest/globals";
import type { Pod } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { checkEvictor, nodeRestriction, refuseTokenOf } from "./node-restriction.ts";
import { type Asked, admit, request, viewOf } from "./testing/requests.ts";

const user = { name: "system:node:n1", groups: ["system:nodes"] };
const owner = { apiVersion: "v1", kind: "Node", name: "n1", uid: "u1", controller: true };
const pod = (spec: object, metadata: object = {}): Pod => ({
  metadata: { name: "web", namespace: "default", ...metadata },
  spec: { containers: [{ name: "c" }], nodeName: "n1", ...spec },
});
const mirror = (spec: object = {}, metadata: object = {}) =>
  pod(spec, { annotations: { "kubernetes.io/config.mirror": "x" }, ownerReferences: [owner], ...metadata });
const owned = (...owners: object[]) => mirror({}, { ownerReferences: owners });
const node = (labels: object, spec: object = {}) => ({ metadata: { name: "n1", labels }, spec }) as never;
const dns = (spec: object) => ({
  plural: "services",
  namespace: "kube-system",
  object: { metadata: { name: "kube-dns" }, spec: { clusterIP: "10.96.0.10", ...spec } } as never,
});
const view = viewOf([nodes, { metadata: { name: "n1", uid: "u1" } }]);

const rows: readonly (readonly [what: string, asked: Asked, why: string | undefined])[] = [
  [
    "a Pod of its own",
    { plural: "pods", object: pod({}) },
    'pod does not have "kubernetes.io/config.mirror" annotation',
  ],
  ["a mirror Pod", { plural: "pods", object: mirror() }, undefined],
  ["elsewhere", { plural: "pods", object: mirror({ nodeName: "n2" }) }, "spec.nodeName set to itself"],
  ["ownerless", { plural: "pods", object: owned() }, "with an owner reference set to itself"],
  ["two owners", { plural: "pods", object: owned(owner, owner) }, "with a single owner reference set to itself"],
  ["of another node", { plural: "pods", object: owned({ ...owner, name: "n2" }) }, "an owner reference set to itself"],
  ["uncontrolled", { plural: "pods", object: owned({ ...owner, controller: false }) }, "a controller owner reference"],
  [
    "blocking",
    { plural: "pods", object: owned({ ...owner, blockOwnerDeletion: true }) },
    "must not set blockOwnerDeletion",
  ],
  ["of an older node", { plural: "pods", object: owned({ ...owner, uid: "u0" }) }, "UID mismatch: expected u0 got u1"],
  [
    "that opens a Secret",
    { plural: "pods", object: mirror({ volumes: [{ name: "s", secret: { secretName: "x" } }] }) },
    'node "n1" can not create pods that reference secrets',
  ],
  ["removal of its Pod", { plural: "pods", operation: "DELETE", old: pod({}) }, undefined],
  [
    "removal of another's",
    { plural: "pods", operation: "DELETE", old: pod({ nodeName: "n2" }) },
    'node "n1" can only delete pods with spec.nodeName set to itself',
  ],
  [
    "a change of a Pod",
    { plural: "pods", operation: "UPDATE", old: pod({}), object: pod({}) },
    'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods',
  ],
  [
    "a status",
    { plural: "pods", operation: "UPDATE", subresource: "status", old: pod({}), object: pod({}) },
    undefined,
  ],
  [
    "another's status",
    { plural: "pods", operation: "UPDATE", subresource: "status", old: pod({ nodeName: "n2" }), object: pod({}) },
    "can only update pod status for pods with spec.nodeName set to itself",
  ],
  [
    "labels through status",
    {
      plural: "pods",
      operation: "UPDATE",
      subresource: "status",
      old: pod({}),
      object: pod({}, { labels: { a: "b" } }),
    },
    'node "n1" cannot update labels through pod status',
  ],
  ["a binding", { plural: "pods", operation: "UPDATE", subresource: "binding", old: pod({}) }, 'subresource "binding"'],
  ["itself", { plural: "nodes", object: node({ "kubernetes.io/hostname": "n1", mine: "x" }) }, undefined],
  [
    "itself, as what it is not",
    { plural: "nodes", object: node({ "node-role.kubernetes.io/control-plane": "", "x.k8s.io/y": "", mine: "x" }) },
    'node "n1" is not allowed to set the following labels: node-role.kubernetes.io/control-plane, x.k8s.io/y',
  ],
  [
    "a label that is kept from nodes",
    {
      plural: "nodes",
      operation: "UPDATE",
      old: node({}),
      object: node({ "acme.node-restriction.kubernetes.io/a": "" }),
    },
    "is not allowed to modify labels: acme.node-restriction.kubernetes.io/a",
  ],
  [
    "taints",
    {
      plural: "nodes",
      operation: "UPDATE",
      old: node({}, { taints: [{ key: "a", effect: "NoSchedule" }] }),
      object: node({}),
    },
    'node "n1" is not allowed to modify taints',
  ],
  [
    "another node",
    { plural: "nodes", operation: "UPDATE", object: { metadata: { name: "n2" } }, old: { metadata: { name: "n2" } } },
    'node "n1" is not allowed to modify node "n2"',
  ],
  [
    "its lease",
    {
      group: "coordination.k8s.io",
      plural: "leases",
      namespace: "kube-node-lease",
      object: { metadata: { name: "n1" } },
    },
    undefined,
  ],
  [
    "another's lease",
    {
      group: "coordination.k8s.io",
      plural: "leases",
      namespace: "kube-node-lease",
      object: { metadata: { name: "n2" } },
    },
    "can only access node lease with the same name as the requesting node",
  ],
  ["an event", { plural: "events", object: { metadata: { name: "e" } } }, undefined],
  ["the Service of DNS", dns({ internalTrafficPolicy: "Local" }), undefined],
  ...[{}, { internalTrafficPolicy: "Cluster" }, { internalTrafficPolicy: "Local", externalIPs: ["192.0.2.1"] }].map(
    (spec) =>
      [
        `the Service of DNS, for others' Pods, too: ${JSON.stringify(spec)}`,
        dns(spec),
        'node "n1" can only create the Service of the cluster\'s DNS',
      ] as const,
  ),
  ["a claim", { plural: "persistentvolumeclaims", operation: "UPDATE", subresource: "" }, "may only update PVC status"],
  [
    "a claim's size, once it has grown",
    {
      plural: "persistentvolumeclaims",
      operation: "UPDATE",
      subresource: "status",
      old: { metadata: { name: "c" }, status: { phase: "Bound" } } as never,
      object: { metadata: { name: "c" }, status: { phase: "Bound", capacity: { storage: "2Gi" } } } as never,
    },
    undefined,
  ],
  [
    "a claim's phase",
    {
      plural: "persistentvolumeclaims",
      operation: "UPDATE",
      subresource: "status",
      old: { metadata: { name: "c" }, status: { phase: "Bound" } } as never,
      object: { metadata: { name: "c" }, status: { phase: "Lost" } } as never,
    },
    "is not allowed to update fields other than status.quantity and status.conditions",
  ],
];

test.each(rows)("a node writes %s", async (_, asked, why) => {
  const refusal = await admit(nodeRestriction, request({ user, namespaced: asked.plural !== "nodes", ...asked }), view);
  expect(refusal?.includes(why ?? "") ?? why === undefined).toBe(true);
  expect(refusal === undefined).toBe(why === undefined);
});

test("others may, and a node without a name may nothing", async () => {
  const asked = { plural: "pods", object: pod({}) };
  expect(await admit(nodeRestriction, request(asked), view)).toBeUndefined();
  const nameless = { name: "eve", groups: ["system:nodes"] };
  expect(await admit(nodeRestriction, request({ ...asked, user: nameless }), view)).toBe(
    'pods "web" is forbidden: could not determine node from user "eve"',
  );
});

describe("a node asks for a token", () => {
  const projected = (audience: string) => ({
    volumes: [{ name: "t", projected: { sources: [{ serviceAccountToken: { path: "token", audience } }] } }],
  });
  const cluster = viewOf(
    [pods, pod(projected(""), { uid: "p1" })],
    [pods, pod({ nodeName: "n2" }, { name: "other", uid: "p2" })],
  );
  const ask = (boundObjectRef: object | undefined, audiences: string[] = []) =>
    refuseTokenOf(
      "n1",
      { metadata: {}, spec: { audiences, ...(boundObjectRef && { boundObjectRef }) } },
      {
        view: cluster,
        namespace: "default",
      },
    );
  const web = { apiVersion: "v1", kind: "Pod", name: "web", uid: "p1" };
  test.each<[object | undefined, string[], string | undefined]>([
    [web, [], undefined],
    [undefined, [], "node requested token not bound to a pod"],
    [{ ...web, kind: "Secret" }, [], "node requested token not bound to a pod"],
    [{ ...web, uid: "" }, [], "node requested token with a pod binding without a uid"],
    [{ ...web, uid: "p0" }, [], "does not match the UID in record"],
    [{ ...web, name: "other", uid: "p2" }, [], "node requested token bound to a pod scheduled on a different node"],
    [web, ["vault"], 'audience "vault" not found in pod spec volume'],
    [web, ["a", "b"], "node may only request 0 or 1 audiences"],
  ])("%j for %j", (ref, audiences, why) => {
    const refusal = ask(ref, audiences);
    expect(refusal?.includes(why ?? "?") ?? why === undefined).toBe(true);
  });

  test("for a Pod that is not there", () => {
    expect(() => ask({ ...web, name: "none" })).toThrow('pods "none" not found');
  });
});

test("a node evicts only what runs there", () => {
  expect(() => checkEvictor(user, pod({}))).not.toThrow();
  expect(() => checkEvictor({ name: "drainer", groups: [] }, pod({ nodeName: "n2" }))).not.toThrow();
  expect(() => checkEvictor(user, pod({ nodeName: "n2" }))).toThrow(
    'pods "web" is forbidden: node n1 can only evict pods with spec.nodeName set to itself',
  );
});
