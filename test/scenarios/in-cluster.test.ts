import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { resolve } from "node:path";
import { TestCluster } from "../harness/cluster.ts";
import { ensureNodeImage, NODE_IMAGE } from "../images/glibc.ts";

/**
 * A program in a Pod that speaks with the API as in-cluster programs do: with the JavaScript client of Kubernetes, its
 * Pod's token and the CA beside it, at the address in its environment and by the name `kubernetes.default.svc`.
 */
let cluster: TestCluster;

beforeAll(async () => {
  await ensureNodeImage();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

const PROGRAM = `
import * as k8s from "client-node-1";
import { readFileSync } from "node:fs";
import { get } from "node:https";

const config = new k8s.KubeConfig();
config.loadFromCluster();
const core = config.makeApiClient(k8s.CoreV1Api);
const { items } = await core.listNamespacedPod({ namespace: "default" });
console.log("pods", items.map((p) => p.metadata.name).join());
const refused = await core.listNamespacedSecret({ namespace: "default" }).catch((error) => error);
console.log("secrets", refused.code);
const ca = readFileSync("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
for (const host of ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local"])
  await new Promise((resolve, reject) =>
    get({ host, path: "/version", ca }, (answer) => {
      console.log(host, answer.statusCode);
      answer.resume().on("end", resolve);
    }).on("error", reject));
const seen = await new Promise((resolve, reject) => {
  new k8s.Watch(config).watch("/api/v1/namespaces/default/pods", {}, (type, pod) => resolve(type + " " + pod.metadata.name), reject);
});
console.log("watch", seen);
process.exit(0);
`;

test("a client library in a Pod, with the rights of its ServiceAccount", async () => {
  await cluster.kubectlOk(["create", "serviceaccount", "reader"]);
  await cluster.kubectlOk(["create", "role", "reader", "--verb=get,list,watch", "--resource=pods"]);
  await cluster.kubectlOk(["create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader"]);
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "client", namespace: "default" },
    spec: {
      serviceAccountName: "reader",
      restartPolicy: "Never",
      containers: [
        {
          name: "main",
          image: NODE_IMAGE,
          command: ["node", "--input-type=module", "--eval", PROGRAM],
          workingDir: "/app",
          volumeMounts: [{ name: "modules", mountPath: "/app/node_modules", readOnly: true }],
        },
      ],
      volumes: [{ name: "modules", hostPath: { path: resolve("node_modules"), type: "Directory" } }],
    },
  };
  await cluster.kubectlOk(["create", "-f", "-"], { input: JSON.stringify(pod) });
  await cluster.untilPod("client", (p) => ["Succeeded", "Failed"].includes(p.status?.phase ?? ""));
  const said = await cluster.kubectlOk(["logs", "client"]);
  expect(said.trim().split("\n")).toEqual([
    "pods client",
    "secrets 403",
    "kubernetes.default.svc 200",
    "kubernetes.default.svc.cluster.local 200",
    "watch ADDED client",
  ]);
});
