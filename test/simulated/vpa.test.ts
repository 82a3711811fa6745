/** A VerticalPodAutoscaler on a whole simulated cluster: real agents tell what Pods use. A week of it is in its controller's own test. */
import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import type { CustomResourceDefinition, Deployment } from "../../pkg/api/generated/types.ts";
import { customResourceDefinitions } from "../../pkg/api/kinds/apiextensions/customresourcedefinition.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import {
  amount,
  type ContainerRecommendation,
  type VerticalPodAutoscaler,
  verticalPodAutoscalers,
} from "../../pkg/api/verticalpodautoscaler.ts";
import { parseYamlDocuments } from "../../pkg/util/yaml.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const HOUR = 3_600_000;
const labels = { app: "web" };
const manifest = new URL("../../manifests/vpa.yaml", import.meta.url);

async function start(spec: Partial<VerticalPodAutoscaler["spec"]> = {}) {
  const c = await SimulatedCluster.start({ nodes: 1 });
  const crds = c.client.resource<CustomResourceDefinition>(customResourceDefinitions);
  for (const { value } of parseYamlDocuments(readFileSync(manifest, "utf8"), "vpa.yaml"))
    await crds.create(value as CustomResourceDefinition);
  const container = {
    name: "app",
    image: "app",
    resources: { requests: { cpu: "100m", memory: "100Mi" }, limits: { memory: "200Mi" } },
  };
  await c.client.resource<Deployment>(deployments, "default").create({
    metadata: { name: "web" },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  });
  const vpas = c.client.resource<VerticalPodAutoscaler>(verticalPodAutoscalers, "default");
  await vpas.create({
    metadata: { name: "web" },
    spec: { targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" }, ...spec },
  });
  const ready = async () => (await c.pods()).filter(isReady);
  await c.until(async () => (await ready()).length === 2);
  const recommended = async (): Promise<DeepReadonly<ContainerRecommendation> | undefined> =>
    (await vpas.get("web")).status?.recommendation?.containerRecommendations?.[0];
  const requests = async () => (await ready()).map((p) => p.spec?.containers[0]?.resources?.requests ?? {});
  const evicted = async () => (await c.events()).filter((e) => e.startsWith("EvictedByVPA")).length;
  return { c, ready, recommended, requests, evicted, vpas };
}

test.each([
  ["Off", { cpu: "100m", memory: "100Mi" }],
  ["Initial", { cpu: "50m", memory: "64Mi" }],
] as const)("%s: nobody is evicted; a new Pod asks for what that mode gives", async (mode, expected) => {
  const bounds = { maxAllowed: { cpu: "50m", memory: "64Mi" } };
  const { c, recommended, ready, evicted, requests } = await start({
    updatePolicy: { updateMode: mode },
    resourcePolicy: { containerPolicies: [{ containerName: "*", ...bounds }] },
  });
  await using _c = c;
  await c.until(async () => (await recommended()) !== undefined, 300_000, 1_000);
  await c.clock.advance(HOUR);
  expect((await recommended())?.target).toEqual({ cpu: "50m", memory: "67108864" });
  expect(await requests()).toEqual([
    { cpu: "100m", memory: "100Mi" },
    { cpu: "100m", memory: "100Mi" },
  ]);
  for (const pod of await ready()) await c.delete(pod.metadata.name ?? "", 0);
  await c.until(async () => (await ready()).length === 2);
  const asked = (await requests()).map((r) => [amount(r["cpu"] ?? "0"), amount(r["memory"] ?? "0")]);
  const each = [amount(expected.cpu), amount(expected.memory)];
  expect(asked).toEqual([each, each]);
  expect(await evicted()).toBe(0);
});

test("Recreate: Pods that ask for too little are evicted one by one, and come back with what they need", async () => {
  const { c, ready, requests, evicted, vpas } = await start({ updatePolicy: { updateMode: "Recreate" } });
  await using _c = c;
  c.node().runtime.load = () => ({ cpus: 0.5, memoryBytes: 400 * 2 ** 20 });

  const enough = async () => {
    return (await requests()).filter((r) => amount(r["cpu"] ?? "0") >= 0.5).length === 2;
  };
  await c.until(enough, 2 * HOUR, 1_000);
  expect(await evicted()).toBe(2);
  expect((await vpas.get("web")).status?.conditions).toMatchObject([
    { type: "RecommendationProvided", status: "True" },
    { type: "NoPodsMatched", status: "False" },
  ]);
  for (const pod of await ready()) {
    expect(pod.metadata.annotations?.["vpaUpdates"]).toBe(
      "Pod resources updated by web: container 0: cpu request, memory request",
    );
    const { requests: asked = {}, limits = {} } = pod.spec?.containers[0]?.resources ?? {};
    expect(amount(limits["memory"] ?? "0") / amount(asked["memory"] ?? "1")).toBeCloseTo(2, 3);
  }
});

test("InPlaceOrRecreate: Pods get what they need where they run", async () => {
  const { c, ready, requests, evicted } = await start({ updatePolicy: { updateMode: "InPlaceOrRecreate" } });
  await using _c = c;
  const before = (await ready()).map((p) => p.metadata.uid);
  c.node().runtime.load = () => ({ cpus: 0.5, memoryBytes: 400 * 2 ** 20 });
  const enough = async () => (await requests()).filter((r) => amount(r["cpu"] ?? "0") >= 0.5).length === 2;
  await c.until(enough, 2 * HOUR, 1_000);
  const resized = async () =>
    (await ready()).every((p) => amount(p.status?.containerStatuses?.[0]?.resources?.requests?.["cpu"] ?? "0") >= 0.5);
  await c.until(resized, 60_000);
  expect((await ready()).map((p) => p.metadata.uid)).toEqual(before);
  expect(await evicted()).toBe(0);
  expect((await c.events()).filter((e) => e.startsWith("InPlaceResizedByVPA")).length).toBeGreaterThanOrEqual(2);
});
