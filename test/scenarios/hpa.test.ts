/** Load is real here: a Pod that burns CPU is measured by its control group, and its ReplicaSet follows. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { V2HorizontalPodAutoscaler } from "../../pkg/api/generated/types.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { horizontalPodAutoscalers } from "../../pkg/api/kinds/autoscaling/horizontalpodautoscaler.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { PATIENCE_MS } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

const labels = { app: "busy" };
/** Burns what it may as long as the file is there. */
const BURN = "touch /tmp/load; while true; do [ -f /tmp/load ] || sleep 1; done";
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

/** The autoscaler as soon as `done` holds of it; rejects with its last state. */
async function untilAutoscaler(done: (o: V2HorizontalPodAutoscaler) => boolean): Promise<void> {
  const api = cluster.client.resource(horizontalPodAutoscalers, "default");
  let last: unknown;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  for await (const { type, object } of api.watch({ fieldSelector: "metadata.name=busy" }, signal)) {
    last = object.status;
    if (type !== "BOOKMARK" && done(object as V2HorizontalPodAutoscaler)) return;
  }
  throw new Error(`not as wanted within ${PATIENCE_MS} ms: ${JSON.stringify(last, undefined, 1)}\n${cluster.log()}`);
}

async function podNames(): Promise<string[]> {
  const { items } = await cluster.client.resource(pods, "default").list({ labelSelector: "app=busy" });
  return items.filter(ready).map(nameOf);
}

test("a busy Pod gets company, and loses it when the load is gone; kubectl top shows both", async () => {
  const resources = { requests: { cpu: "100m" }, limits: { cpu: "200m" } };
  const container = { name: "main", image: "busybox:1.36", command: ["sh", "-c", BURN], resources };
  await cluster.client.resource(replicaSets, "default").create({
    metadata: { name: "busy" },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container], terminationGracePeriodSeconds: 0 } },
    },
  });
  await cluster.client.resource(horizontalPodAutoscalers, "default").create({
    metadata: { name: "busy" },
    spec: {
      maxReplicas: 2,
      scaleTargetRef: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "busy" },
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 60 } } },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
    },
  });
  await untilAutoscaler((o) => o.status?.currentReplicas === 2);
  await cluster.kubectlOk(["wait", "--for=jsonpath={.status.readyReplicas}=2", "rs/busy", "--timeout=30s"]);

  const names = await podNames();
  expect(names).toHaveLength(2);
  const top = await cluster.kubectlOk(["top", "pods", "-l", "app=busy", "--no-headers"]);
  expect(
    top
      .trim()
      .split("\n")
      .map((l) => l.split(/\s+/)[0]),
  ).toEqual(names.toSorted());
  expect(top).toMatch(/ \d+m +\d+Mi/);
  expect(await cluster.kubectlOk(["top", "pods", "--containers"])).toMatch(/busy-\w+ +main +\d+m +\d+Mi/);
  expect(await cluster.kubectlOk(["top", "nodes"])).toMatch(/^node-1 +\d+m +\d+% +\d+Mi +\d+%/m);
  expect(await cluster.cliOk(["top", "pods", "-l", "app=busy"])).toMatch(
    /^NAME +CPU\(cores\) +MEMORY\(bytes\)\nbusy-\w+ +\d+m +\d+Mi/,
  );
  expect(await cluster.cliOk(["top", "nodes"])).toMatch(/node-1 +\d+m +\d+% +\d+Mi +\d+%/);
  expect(await cluster.kubectlOk(["get", "hpa", "busy", "--no-headers"])).toMatch(
    /ReplicaSet\/busy +cpu: \d+%\/60% +1 +2 +2/,
  );

  for (const name of names) await cluster.kubectlOk(["exec", name, "--", "rm", "/tmp/load"]);
  await untilAutoscaler((o) => o.status?.currentReplicas === 1);
  const told = await cluster.kubectlOk(["describe", "hpa", "busy"]);
  expect(told).toContain("New size: 2; reason: cpu resource utilization (percentage of request) above target");
  expect(told).toContain("New size: 1; reason: All metrics below target");
  expect(told).toMatch(/ScalingActive +True +ValidMetricFound/);
});

test("who asks for what is not there is told so in kubectl's words", async () => {
  const { stderr } = await cluster.kubectl(["top", "pod", "nobody"]);
  expect(stderr).toContain('Error from server (NotFound): podmetrics.metrics.k8s.io "default/nobody" not found');
  const components = await cluster.kubectlOk(["get", "componentstatuses", "--no-headers"]);
  expect(components).toMatch(/^etcd-0 +Healthy +ok/m);
  expect(components).toMatch(/^scheduler +Healthy +ok/m);
  expect(components).toMatch(/^controller-manager +Healthy +ok/m);
});
