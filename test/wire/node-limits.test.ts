/** What a node's certificate is good for, over real HTTPS: who × what. A node that was broken into can do this much. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { ensurePolicy } from "../../pkg/apiserver/auth/ensure-policy.ts";
import { Client } from "../../pkg/client/client.ts";
import type { KeyPair } from "../../pkg/util/pki.ts";
import { type Asked, TestApi } from "../harness/https.ts";

let api: TestApi;
const nodes: Record<string, KeyPair> = {};
/** uid by name. */
const uids: Record<string, string> = {};

const core = "/api/v1/namespaces/default";
const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const MERGE = { "Content-Type": "application/merge-patch+json" };
const create = (path: string, body: object, o: Asked = {}) => api.ok(path, { ...o, method: "POST", body });

beforeAll(async () => {
  api = await TestApi.start();
  await ensurePolicy(new Client(api.server.transport(), "test"), api.server.view);
  await create("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", { metadata: { name: "kube-scheduler" } });
  for (const name of ["n1", "n2"]) {
    nodes[name] = await api.user(`system:node:${name}`, ["system:nodes"]);
    const made = await create("/api/v1/nodes", { metadata: { name } }, { as: nodes[name] });
    uids[name] = made.json<{ metadata: { uid: string } }>().metadata.uid;
    await create(leases, { metadata: { name }, spec: { holderIdentity: name } }, { as: nodes[name] });
    await create(`${core}/secrets`, { metadata: { name: `secret-${name}` }, stringData: { a: "b" } });
    await create(`${core}/configmaps`, { metadata: { name: `config-${name}` } });
    await create(`${core}/serviceaccounts`, { metadata: { name: `bot-${name}` } });
    const pod = await create(`${core}/pods`, {
      metadata: { name: `pod-${name}` },
      spec: {
        nodeName: name,
        serviceAccountName: `bot-${name}`,
        containers: [{ name: "c", image: "i", envFrom: [{ configMapRef: { name: `config-${name}` } }] }],
        volumes: [
          { name: "s", secret: { secretName: `secret-${name}` } },
          { name: "t", projected: { sources: [{ serviceAccountToken: { path: "t", audience: "vault" } }] } },
        ],
      },
    });
    uids[`pod-${name}`] = pod.json<{ metadata: { uid: string } }>().metadata.uid;
  }
});

afterAll(() => api.close());

const token = (audience: string, pod: string) => () => ({
  spec: { audiences: [audience], boundObjectRef: { apiVersion: "v1", kind: "Pod", name: pod, uid: uids[pod] } },
});
const mirror =
  (nodeName: string, spec: object = {}) =>
  () => ({
    metadata: {
      name: `static-${nodeName}`,
      annotations: { "kubernetes.io/config.mirror": "x" },
      ownerReferences: [{ apiVersion: "v1", kind: "Node", name: "n1", uid: uids["n1"], controller: true }],
    },
    spec: { nodeName, containers: [{ name: "c", image: "i" }], ...spec },
  });
const labels = (l: object) => () => ({ metadata: { labels: l } });
const system = "/apis/coordination.k8s.io/v1/namespaces/kube-system";
const dns = "/api/v1/namespaces/kube-system";
const dnsSlices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices";
const service =
  (name: string, spec: object = {}) =>
  () => ({ metadata: { name }, spec: { ports: [{ port: 53 }], internalTrafficPolicy: "Local", ...spec } });
const slice =
  (name: string, nodeName: string, of = "kube-dns") =>
  () => ({
    metadata: { name, labels: { "kubernetes.io/service-name": of } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.9"], nodeName }],
  });
const NOT_OURS = "no relationship found between node 'n1' and this object";

/** What n1 asks → 0: it may; else the code, and a part of why not. */
const rows: readonly (readonly [method: string, path: string, code: number, why?: string, body?: () => object])[] = [
  ["GET", `${core}/secrets/secret-n1`, 0],
  ["GET", `${core}/secrets/secret-n2`, 403, NOT_OURS],
  ["GET", `${core}/secrets`, 403],
  ["GET", "/api/v1/secrets", 403],
  ["GET", `${core}/secrets?fieldSelector=metadata.name%3Dsecret-n2`, 403, NOT_OURS],
  ["DELETE", `${core}/secrets/secret-n1`, 403],
  ["PATCH", `${core}/secrets/secret-n1`, 403, "can only read resources", labels({ a: "b" })],
  ["GET", `${core}/configmaps/config-n1`, 0],
  ["GET", `${core}/configmaps/config-n2`, 403, NOT_OURS],
  ["GET", "/api/v1/configmaps", 403],

  ["GET", "/api/v1/nodes/n1", 0],
  ["PATCH", "/api/v1/nodes/n1", 0, "", labels({ "example.com/disk": "ssd" })],
  [
    "PATCH",
    "/api/v1/nodes/n1",
    403,
    "modify labels: node-restriction.kubernetes.io/a",
    labels({ "node-restriction.kubernetes.io/a": "b" }),
  ],
  [
    "PATCH",
    "/api/v1/nodes/n1",
    403,
    "modify labels: node-role.kubernetes.io/control-plane",
    labels({ "node-role.kubernetes.io/control-plane": "" }),
  ],
  [
    "PATCH",
    "/api/v1/nodes/n1",
    403,
    "modify taints",
    () => ({ spec: { taints: [{ key: "a", effect: "NoSchedule" }] } }),
  ],
  ["PATCH", "/api/v1/nodes/n2", 403, 'not allowed to modify node "n2"', labels({ a: "b" })],
  ["PATCH", "/api/v1/nodes/n2/status", 403, 'not allowed to modify node "n2"', () => ({ status: {} })],
  ["POST", "/api/v1/nodes", 403, 'not allowed to modify node "n3"', () => ({ metadata: { name: "n3" } })],
  ["DELETE", "/api/v1/nodes/n1", 403],

  ["PATCH", `${leases}/n1`, 0, "", labels({ a: "b" })],
  ["GET", `${leases}/n2`, 0], // what the network of a node goes by
  ["PATCH", `${leases}/n2`, 403, "node lease with the same name", labels({ a: "b" })],
  ["POST", leases, 403, "", () => ({ metadata: { name: "n3" } })],
  [
    "POST",
    "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
    403,
    "kube-node-lease",
    () => ({ metadata: { name: "kube-scheduler" } }),
  ],

  ["PATCH", `${system}/leases/kube-scheduler`, 403, "kube-node-lease", labels({ a: "b" })],
  ["POST", `${system}/leases`, 403, "kube-node-lease", () => ({ metadata: { name: "service-proxy.n2" } })],
  ["POST", `${system}/leases`, 0, "", () => ({ metadata: { name: "service-proxy.n1" } })],

  ["GET", "/api/v1/services", 0],
  ["POST", `${core}/services`, 403, "Service of the cluster's DNS", service("web")],
  ["POST", `${dns}/services`, 403, "Service of the cluster's DNS", service("kube-dns", { externalIPs: ["10.0.0.1"] })],
  ["POST", `${dns}/services`, 403, "internalTrafficPolicy", service("kube-dns", { internalTrafficPolicy: "Cluster" })],
  ["POST", `${dns}/services`, 0, "", service("kube-dns")],
  ["PATCH", `${dns}/services/kube-dns`, 403, "", labels({ a: "b" })],
  ["POST", `${dnsSlices}`, 403, "EndpointSlice of its own DNS", slice("kube-dns-n2", "n2")],
  ["POST", `${dnsSlices}`, 403, "endpoints of its own", slice("kube-dns-n1", "n2")],
  ["POST", `${dnsSlices}`, 403, "can only serve DNS", slice("kube-dns-n1", "n1", "web")],
  ["POST", `${dnsSlices}`, 0, "", slice("kube-dns-n1", "n1")],
  [
    "PATCH",
    `${dnsSlices}/kube-dns-n1`,
    403,
    "endpoints of its own",
    () => ({ endpoints: [{ addresses: ["10.0.0.9"], nodeName: "n2" }] }),
  ],

  ["GET", `${core}/pods/pod-n1`, 0],
  ["GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", 0],
  ["PATCH", `${core}/pods/pod-n1/status`, 0, "", () => ({ status: { phase: "Running" } })],
  ["PATCH", `${core}/pods/pod-n2/status`, 403, "spec.nodeName set to itself", () => ({ status: { phase: "Failed" } })],
  ["PATCH", `${core}/pods/pod-n1`, 403, "", labels({ a: "b" })],
  ["DELETE", `${core}/pods/pod-n2`, 403, "can only delete pods with spec.nodeName set to itself"],
  ["POST", `${core}/pods/pod-n1/binding`, 403, "", () => ({ target: { name: "n1" } })],
  ["POST", `${core}/pods/pod-n1/ephemeralcontainers`, 403, "", () => ({})],
  ["POST", `${core}/pods/pod-n2/eviction`, 403, "can only evict pods", () => ({ metadata: { name: "pod-n2" } })],
  ["GET", `${core}/pods/pod-n1/exec?command=sh`, 403],
  ["GET", "/api/v1/nodes/n2/proxy/pods", 403],

  ["POST", `${core}/pods`, 0, "", mirror("n1")],
  ["POST", `${core}/pods`, 403, "spec.nodeName set to itself", mirror("n2")],
  [
    "POST",
    `${core}/pods`,
    403,
    "can not create pods that reference secrets",
    mirror("n1", { volumes: [{ name: "s", secret: { secretName: "secret-n2" } }] }),
  ],
  ["POST", `${core}/pods`, 403, "reference serviceaccounts", mirror("n1", { serviceAccountName: "bot-n2" })],
  [
    "POST",
    `${core}/pods`,
    403,
    "config.mirror",
    () => ({ metadata: { name: "x" }, spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }] } }),
  ],

  ["POST", `${core}/serviceaccounts/bot-n1/token`, 0, "", token("vault", "pod-n1")],
  ["POST", `${core}/serviceaccounts/bot-n1/token`, 403, "not found in pod spec volume", token("other", "pod-n1")],
  [
    "POST",
    `${core}/serviceaccounts/bot-n1/token`,
    403,
    "not bound to a pod",
    () => ({ spec: { audiences: ["vault"] } }),
  ],
  ["POST", `${core}/serviceaccounts/bot-n1/token`, 403, "scheduled on a different node", token("vault", "pod-n2")],
  ["POST", `${core}/serviceaccounts/bot-n2/token`, 403, NOT_OURS, token("vault", "pod-n2")],
  ["POST", `${core}/serviceaccounts/default/token`, 403, NOT_OURS, token("vault", "pod-n1")],

  [
    "POST",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    403,
    "",
    () => ({ metadata: { name: "x" }, roleRef: {} }),
  ],
  ["POST", "/apis/apps/v1/namespaces/default/deployments", 403, "", () => ({ metadata: { name: "x" } })],
  ["GET", "/metrics", 403],
];

test.each(rows)("%s %s → %i %s", async (method, path, code, why = "", body) => {
  const headers = method === "PATCH" ? MERGE : {};
  const answer = await api.ask(path, { as: nodes["n1"], method, headers, ...(body && { body: body() }) });
  const message = answer.code < 400 ? "" : String(answer.json()["message"]);
  expect([answer.code < 400 ? 0 : answer.code, message]).toEqual([code, expect.stringContaining(why)]);
});

describe("a Pod's token", () => {
  const issue = async (pod: string, audience: string) => {
    const path = `${core}/serviceaccounts/bot-n1/token`;
    const answer = await create(path, token(audience, pod)());
    return answer.json<{ status: { token: string } }>().status.token;
  };
  const showing = async (shown: string) => {
    const headers = { Authorization: `Bearer ${shown}` };
    return (await api.ask("/api/v1", { as: undefined, headers })).code;
  };
  const AUDIENCE = "https://kubernetes.default.svc.cluster.local";

  test("is refused where it is not meant for, and as soon as its Pod, or its ServiceAccount, is deleted", async () => {
    const spec = { serviceAccountName: "bot-n1", containers: [{ name: "c", image: "i" }] };
    const pod = await create(`${core}/pods`, { metadata: { name: "short" }, spec });
    uids["short"] = pod.json<{ metadata: { uid: string } }>().metadata.uid;
    const [good, elsewhere, longer] = await Promise.all([
      issue("short", AUDIENCE),
      issue("short", "vault"),
      issue("pod-n1", AUDIENCE),
    ]);
    expect([await showing(good), await showing(elsewhere), await showing(longer)]).toEqual([200, 401, 200]);
    await api.delete(`${core}/pods/short?gracePeriodSeconds=0`);
    expect([await showing(good), await showing(longer)]).toEqual([401, 200]);
    await api.delete(`${core}/serviceaccounts/bot-n1`);
    expect(await showing(longer)).toBe(401);
  });
});
