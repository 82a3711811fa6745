/** Where Services lead and what a drain may take away, on real Docker, through kubectl. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ready, TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

const apply = (yaml: string) => cluster.kubectlOk(["apply", "-f", "-"], { input: yaml });

test("describe shows a Service's Pods, at the ports that they name; the Service kubernetes leads to the API server", async () => {
  await apply(`
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - { name: main, image: "busybox:1.36", command: [sleep, "3600"], ports: [{ name: http, containerPort: 8080 }] }
`);
  const pod = await cluster.untilPod("web", ready);
  const address = `${pod.status?.podIP}:8080`;
  await cluster.kubectlOk([
    "wait",
    "endpoints/web",
    `--for=jsonpath={.subsets[0].addresses[0].ip}=${pod.status?.podIP}`,
  ]);
  expect(await cluster.kubectlOk(["describe", "service", "web"])).toMatch(new RegExp(`^Endpoints: +${address}$`, "m"));
  expect(
    await cluster.kubectlOk(["get", "endpointslices", "-l", "kubernetes.io/service-name=web", "--no-headers"]),
  ).toMatch(new RegExp(`^web-\\S+ +IPv4 +8080 +${pod.status?.podIP} `));
  expect(await cluster.kubectlOk(["get", "service", "kubernetes", "--no-headers"])).toMatch(
    /ClusterIP +10\.\d+\.0\.1 .*443\/TCP/,
  );
  const port = await cluster.kubectlOk(["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]);
  expect(await cluster.kubectlOk(["get", "endpoints", "kubernetes", "--no-headers"])).toMatch(
    new RegExp(`^kubernetes +[\\d.]+:${new URL(port).port} `),
  );
});

test("drain waits for a budget, and goes on without it", async () => {
  await apply(`
apiVersion: apps/v1
kind: ReplicaSet
metadata: { name: keep }
spec:
  replicas: 1
  selector: { matchLabels: { app: keep } }
  template:
    metadata: { labels: { app: keep } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: main, image: "busybox:1.36", command: [sleep, "3600"] }]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: keep }
spec: { minAvailable: 1, selector: { matchLabels: { app: keep } } }
`);
  await cluster.kubectlOk(["wait", "--for=condition=Ready", "pod", "-l", "app=keep", "--timeout=30s"]);
  await cluster.kubectlOk(["wait", "pdb/keep", "--for=jsonpath={.status.currentHealthy}=1", "--timeout=30s"]);
  const drain = (timeout: string) =>
    cluster.kubectl(["drain", "node-1", "--pod-selector=app=keep", `--timeout=${timeout}`]);
  const held = await drain("3s");
  expect(held.code).not.toBe(0);
  expect(held.stderr).toContain("Cannot evict pod as it would violate the pod's disruption budget.");
  await cluster.kubectlOk(["delete", "pdb", "keep"]);
  expect((await drain("30s")).stdout).toContain("node/node-1 drained");
  const left = await cluster.kubectlOk(["get", "pods", "-l", "app=keep", "--no-headers"]);
  expect(left).toMatch(/^keep-\S+ +0\/1 +Pending/);
  await cluster.kubectlOk(["uncordon", "node-1"]);
  await cluster.kubectlOk(["wait", "--for=condition=Ready", "pod", "-l", "app=keep", "--timeout=30s"]);
});
