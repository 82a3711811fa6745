/** HorizontalPodAutoscalers on a whole simulated cluster: load comes and goes, and the replicas follow it. */
import { expect, test } from "@jest/globals";
import type {
  CustomResourceDefinition,
  PodMetrics,
  ReplicaSet,
  V2HorizontalPodAutoscaler,
} from "../../pkg/api/generated/types.ts";
import { customResourceDefinitions } from "../../pkg/api/kinds/apiextensions/customresourcedefinition.ts";
import type { ApiObject } from "../../pkg/api/object.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { horizontalPodAutoscalers } from "../../pkg/api/kinds/autoscaling/horizontalpodautoscaler.ts";
import { podMetrics } from "../../pkg/api/kinds/metrics/metrics.ts";
import { condition } from "../../pkg/api/pod.ts";
import { ApiError } from "../../pkg/api/status.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const labels = { app: "web" };
const container = { name: "app", image: "app", resources: { requests: { cpu: "500m" } } };

/** CPUs that all Pods of the application need together; each takes its part, up to one. */
class Load {
  cpus = 0;
  readonly #c: SimulatedCluster;

  constructor(c: SimulatedCluster) {
    this.#c = c;
    for (const { runtime } of c.nodes.values()) runtime.load = () => ({ cpus: this.#share() });
  }

  #share(): number {
    return Math.min(1, this.cpus / Math.max(1, this.#c.running().length));
  }
}

async function start(spec: Partial<V2HorizontalPodAutoscaler["spec"]> = {}, replicas = 1) {
  const c = await SimulatedCluster.start({ nodes: 3 });
  const sets = c.client.resource<ReplicaSet>(replicaSets, "default");
  const autoscalers = c.client.resource<V2HorizontalPodAutoscaler>(horizontalPodAutoscalers, "default");
  await sets.create({
    metadata: { name: "web" },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  });
  const target = { type: "Utilization", averageUtilization: 50 };
  await autoscalers.create({
    metadata: { name: "web" },
    spec: {
      minReplicas: 1,
      maxReplicas: 10,
      scaleTargetRef: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web" },
      metrics: [{ type: "Resource", resource: { name: "cpu", target } }],
      ...spec,
    },
  });
  await c.until(async () => (await c.pods()).filter(isReady).length === replicas);
  const size = async () => (await sets.get("web")).spec?.replicas;
  const hpa = () => autoscalers.get("web");
  const said = async (type: string) => condition((await hpa()).status?.conditions, type);
  return { c, load: new Load(c), size, hpa, said, autoscalers };
}

test("load up: more replicas, step by step; load away: fewer, once the window has passed", async () => {
  const { c, load, size, hpa, said } = await start();
  await using _c = c;
  load.cpus = 1.9;
  await c.until(async () => (await size()) === 8, 300_000, 1_000);
  expect((await said("ScalingActive"))?.reason).toBe("ValidMetricFound");
  await c.until(async () => (await hpa()).status?.currentReplicas === 8, 60_000, 1_000);
  const up = (await c.events("web")).filter((e) => e.startsWith("SuccessfulRescale"));
  expect(up.length).toBeGreaterThanOrEqual(2);
  expect(up[0]).toBe(
    "SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of request) above target",
  );
  await c.clock.advance(120_000);
  expect(await size()).toBe(8);

  load.cpus = 0.1;
  const gone = c.clock.now();
  await c.until(async () => (await said("AbleToScale"))?.reason === "ScaleDownStabilized", 60_000, 1_000);
  await c.until(async () => (await size()) === 1, 600_000, 1_000);
  expect(c.clock.now() - gone).toBeGreaterThan(270_000);
  expect(await c.events("web")).toContain("SuccessfulRescale: New size: 1; reason: All metrics below target");
  await c.until(async () => (await c.pods()).length === 1, 60_000, 1_000);
});

test("short windows and slow policies are kept to", async () => {
  const slow = { type: "Pods", value: 1, periodSeconds: 30 };
  const behavior = {
    scaleUp: { policies: [slow] },
    scaleDown: { stabilizationWindowSeconds: 30, policies: [{ ...slow, periodSeconds: 15 }] },
  };
  const { c, load, size, said } = await start({ behavior, maxReplicas: 4 });
  await using _c = c;
  load.cpus = 3;
  const sizes = new Set<number | undefined>();
  await c.until(async () => sizes.add(await size()).has(4), 300_000, 1_000);
  expect([...sizes]).toEqual([1, 2, 3, 4]);
  await c.clock.advance(30_000);
  expect(await said("ScalingLimited")).toMatchObject({ status: "True", reason: "TooManyReplicas" });
  load.cpus = 0;
  const down = new Set<number | undefined>();
  await c.until(async () => down.add(await size()).has(1), 300_000, 1_000);
  expect([...down]).toEqual([4, 3, 2, 1]);
});

test("nodes that do not tell: nothing is done, and it is said; when they tell again, it goes on", async () => {
  const { c, load, size, said } = await start();
  await using _c = c;
  load.cpus = 1;
  for (const { runtime } of c.nodes.values()) runtime.failNext("stats", new Error("no"), 1_000);
  await c.until(async () => (await said("ScalingActive"))?.reason === "FailedGetResourceMetric", 60_000, 1_000);
  await c.clock.advance(60_000);
  expect(await size()).toBe(1);
  expect((await c.events("web")).some((e) => e.startsWith("FailedComputeMetricsReplicas: invalid metrics"))).toBe(true);
  for (const { runtime } of c.nodes.values()) runtime.forgetFailures("stats");
  await c.until(async () => (await size()) === 4, 120_000, 1_000);
});

test("two autoscalers for the same Pods: neither acts, both say so; the one that is left goes on", async () => {
  const { c, load, size, said, hpa, autoscalers } = await start();
  await using _c = c;
  await autoscalers.create({ metadata: { name: "other" }, spec: (await hpa()).spec });
  await c.until(async () => (await said("ScalingActive"))?.reason === "AmbiguousSelector", 60_000, 1_000);
  load.cpus = 1;
  await c.clock.advance(60_000);
  expect(await size()).toBe(1);
  expect((await said("ScalingActive"))?.message).toBe(
    "pods by selector app=web are controlled by multiple HPAs: [default/other default/web]",
  );
  await autoscalers.delete("other");
  await c.until(async () => (await size()) === 4, 120_000, 1_000);
});

test("writes that fail, answers that get lost: the size still comes to what the load needs", async () => {
  const { c, load, size } = await start({ behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } });
  await using _c = c;
  c.wire.fault = (call) => {
    if (call.resource !== "replicasets" && call.resource !== "horizontalpodautoscalers") return undefined;
    const dice = c.random();
    if (dice < 0.3) throw new ApiError("ServiceUnavailable", "away");
    return dice < 0.4
      ? () => {
          throw new ApiError("ServiceUnavailable", "the answer is lost");
        }
      : undefined;
  };
  load.cpus = 1.9;
  await c.clock.advance(300_000);
  c.wire.fault = () => {};
  await c.until(async () => (await size()) === 8, 120_000, 1_000);
  expect((await c.pods()).length).toBeLessThanOrEqual(10);
});

test("a target that is not there, or has no scale, is said", async () => {
  const { c, autoscalers } = await start();
  await using _c = c;
  const spec = (kind: string, apiVersion: string) => ({
    maxReplicas: 3,
    scaleTargetRef: { kind, apiVersion, name: "gone" },
  });
  await autoscalers.create({ metadata: { name: "no-object" }, spec: spec("ReplicaSet", "apps/v1") });
  await autoscalers.create({ metadata: { name: "no-kind" }, spec: spec("Rocket", "acme.com/v1") });
  const message = async (name: string) =>
    condition((await autoscalers.get(name)).status?.conditions, "AbleToScale")?.message;
  await c.until(async () => (await message("no-object")) !== undefined && (await message("no-kind")) !== undefined);
  const prefix = "the HPA controller was unable to get the target's current scale: ";
  expect(await message("no-object")).toBe(`${prefix}replicasets.apps "gone" not found`);
  expect(await message("no-kind")).toBe(`${prefix}no matches for kind "Rocket" in group "acme.com"`);
});

test("a custom kind is scaled as any other, through the paths that its definition names", async () => {
  const { c, load, autoscalers } = await start({ minReplicas: 1 });
  await using _c = c;
  const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  await c.client.resource<CustomResourceDefinition>(customResourceDefinitions).create({
    metadata: { name: "trains.acme.com" },
    spec: {
      group: "acme.com",
      scope: "Namespaced",
      names: { kind: "Train", plural: "trains" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { spec: anything, status: anything } } },
          subresources: {
            scale: {
              specReplicasPath: ".spec.wagons",
              statusReplicasPath: ".status.wagons",
              labelSelectorPath: ".status.selector",
            },
          },
        },
      ],
    },
  });
  const ref = { group: "acme.com", version: "v1", kind: "Train", plural: "trains", namespaced: true };
  const trains = c.client.resource<ApiObject & { spec: { wagons: number } }>(ref, "default");
  const train = { metadata: { name: "ice" }, spec: { wagons: 1 }, status: { wagons: 1, selector: "app=train" } };
  await trains.create(train);
  await c.create("wagon", [{ resources: container.resources }], { labels: { app: "train" } });
  await autoscalers.create({
    metadata: { name: "ice" },
    spec: {
      maxReplicas: 3,
      scaleTargetRef: { apiVersion: "acme.com/v1", kind: "Train", name: "ice" },
      metrics: [
        {
          type: "ContainerResource",
          containerResource: { name: "cpu", container: "c0", target: { type: "AverageValue", averageValue: "100m" } },
        },
      ],
    },
  });
  load.cpus = 2;
  await c.until(async () => (await trains.get("ice")).spec.wagons === 3, 120_000, 1_000);
  const { conditions } = (await autoscalers.get("ice")).status ?? {};
  expect(condition(conditions, "ScalingActive")?.message).toBe(
    "the HPA was able to successfully calculate a replica count from cpu container resource",
  );
});

test("metrics.k8s.io: by name, by label, by namespace; a node that is silent is left out", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  await c.create("a", [{ command: ["run", "--cpu=0.5", "--memory=64"] }], { labels, nodeName: "node-1" });
  await c.create("b", [{}], { nodeName: "node-2" });
  await c.untilReady("a", "b");
  await c.clock.advance(5_000);
  const api = c.client.resource<PodMetrics>(podMetrics, "default");
  const names = async (labelSelector = "") => {
    let found: string[] | undefined;
    void api.list({ labelSelector }).then(({ items }) => (found = items.map((m) => m.metadata.name ?? "")));
    await c.until(() => found !== undefined);
    return found;
  };
  expect(await names()).toEqual(["a", "b"]);
  expect(await names("app=web")).toEqual(["a"]);
  expect(await api.get("a")).toMatchObject({
    metadata: { name: "a", namespace: "default", labels },
    containers: [{ name: "c0", usage: { cpu: "500000000n", memory: "65536Ki" } }],
  });
  await expect(api.get("nobody")).rejects.toThrow('podmetrics.metrics.k8s.io "default/nobody" not found');
  c.node("node-2").runtime.delay("stats", Infinity);
  await c.clock.advance(10_000);
  expect(await names()).toEqual(["a"]);
});
