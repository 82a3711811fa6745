/** Weeks of it, on an API server with the controllers it takes; kubelets and their measurements are played. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { CustomResourceDefinition, Pod, PodMetrics, ReplicaSet } from "../../api/generated/types.ts";
import { customResourceDefinitions } from "../../api/kinds/apiextensions/customresourcedefinition.ts";
import { replicaSets } from "../../api/kinds/apps/replicaset.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { podDisruptionBudgets } from "../../api/kinds/policy/poddisruptionbudget.ts";
import { isReady } from "../../api/pod.ts";
import { amount, type VerticalPodAutoscaler, verticalPodAutoscalers } from "../../api/verticalpodautoscaler.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { Informers } from "../../informer/informers.ts";
import { ServedKinds } from "../../informer/served-kinds.ts";
import { together } from "../../reconcile/scope.ts";
import { MemoryStore } from "../../store/memory.ts";
import { rfc3339, seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { parseYamlDocuments } from "../../util/yaml.ts";
import { runDisruptionController } from "../disruption/controller.ts";
import { runReplicaSets } from "../replicaset/controller.ts";
import { runVerticalPodAutoscalers } from "./controller.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** So often the kubelets look. */
const STEP = 10 * MINUTE;
const MIB = 2 ** 20;
const labels = { app: "web" };
const manifest = new URL("../../../manifests/vpa.yaml", import.meta.url);

/** Busy by day, idle by night. */
function daily(now: number): { cpus: number; memoryBytes: number } {
  const hour = (now / HOUR) % 24;
  const busy = hour >= 8 && hour < 20;
  return { cpus: busy ? 0.6 : 0.1, memoryBytes: (busy ? 800 : 300) * MIB };
}

/** No more than is needed, for every timer counts in a week. */
async function startPlane() {
  const [clock, random, store, log] = [new FakeClock(), seededRandom(1), new MemoryStore(), silent];
  const server = await ApiServer.open({ store, clock, random, log });
  const client = new Client(server.transport(), "test");
  const informers = new Informers({ client, clock, random, log });
  const parts = { client, clock, random, log, informers, kinds: new ServedKinds(informers) };
  const stop = new AbortController();
  const runs = [runReplicaSets, runDisruptionController, runVerticalPodAutoscalers];
  const done = together(stop.signal, (s) => informers.run(s), ...runs.map((run) => (s: AbortSignal) => run(parts, s)));
  const end = async () => {
    stop.abort();
    await done;
    await server.close();
    await store.close();
    expect(clock.pending).toBe(0);
  };
  return { clock, client, server, end };
}

type Plane = Awaited<ReturnType<typeof startPlane>>;

class Week {
  readonly plane: Plane;
  readonly vpas;
  readonly #pods;
  /** Of all Pods that ever were ready. */
  readonly names = new Set<string>();
  /** The fewest Pods that were ready at any step. */
  fewest = Infinity;

  constructor(plane: Plane) {
    this.plane = plane;
    this.#pods = plane.client.resource<Pod>(pods, "default");
    this.vpas = plane.client.resource<VerticalPodAutoscaler>(verticalPodAutoscalers, "default");
    plane.server.virtual.set("metrics.k8s.io/pods", { list: () => this.#measure() });
  }

  async begin(spec: Partial<VerticalPodAutoscaler["spec"]> = {}): Promise<void> {
    const { client } = this.plane;
    for (const { value } of parseYamlDocuments(readFileSync(manifest, "utf8"), "vpa.yaml"))
      await client.resource(customResourceDefinitions).create(value as CustomResourceDefinition);
    const resources = { requests: { cpu: "100m", memory: "100Mi" } };
    const template = { metadata: { labels }, spec: { containers: [{ name: "app", image: "app", resources }] } };
    await client
      .resource<ReplicaSet>(replicaSets, "default")
      .create({ metadata: { name: "web" }, spec: { replicas: 2, selector: { matchLabels: labels }, template } });
    const targetRef = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web" };
    await this.vpas.create({ metadata: { name: "web" }, spec: { targetRef, ...spec } });
    await this.pass(STEP);
    this.fewest = (await this.ready()).length;
  }

  async pass(ms: number): Promise<void> {
    for (let t = 0; t < ms; t += STEP) {
      await this.plane.clock.advance(STEP);
      const ready = await this.ready();
      this.fewest = Math.min(this.fewest, ready.length);
      for (const pod of ready) this.names.add(pod.metadata.name ?? "");
      await this.#playKubelet();
    }
  }

  async ready() {
    return (await this.#pods.list()).items.filter(isReady);
  }

  async recommended() {
    const { status } = await this.vpas.get("web");
    return status?.recommendation?.containerRecommendations?.[0];
  }

  async #playKubelet(): Promise<void> {
    const now = rfc3339(this.plane.clock.now());
    for (const pod of (await this.#pods.list()).items) {
      if (isReady(pod)) continue;
      const conditions = [{ type: "Ready", status: "True", lastTransitionTime: now }];
      await this.#pods.updateStatus({ ...pod, status: { phase: "Running", startTime: now, conditions } });
    }
  }

  async #measure(): Promise<readonly PodMetrics[]> {
    const now = this.plane.clock.now();
    const { cpus, memoryBytes } = daily(now);
    return (await this.ready()).map((pod) => ({
      metadata: { name: pod.metadata.name ?? "", namespace: "default" },
      timestamp: rfc3339(now),
      window: "15s",
      containers: [{ name: "app", usage: { cpu: `${cpus * 1000}m`, memory: `${memoryBytes}` } }],
    }));
  }
}

let week: Week;
beforeEach(async () => {
  week = new Week(await startPlane());
});
afterEach(() => week.plane.end());

const cpuOf = (r: Readonly<Record<string, string>> = {}) => amount(r["cpu"] ?? "0");
const memoryOf = (r: Readonly<Record<string, string>> = {}) => amount(r["memory"] ?? "0");

test("a week of days and nights: requests come to what is used at the busiest, with a margin, by few restarts", async () => {
  await week.begin();
  await week.pass(7 * 24 * HOUR);
  const { target, lowerBound, upperBound } = (await week.recommended()) ?? {};
  // 0.6 CPUs and 800 MiB, a bucket of 5 % more at most, and a margin of 15 %.
  expect(cpuOf(target)).toBeGreaterThanOrEqual(0.6 * 1.15);
  expect(cpuOf(target)).toBeLessThanOrEqual(0.6 * 1.15 * 1.06);
  expect(memoryOf(target)).toBeGreaterThanOrEqual(800 * MIB * 1.15);
  expect(memoryOf(target)).toBeLessThanOrEqual(800 * MIB * 1.15 * 1.06);
  expect(cpuOf(lowerBound)).toBeLessThanOrEqual(cpuOf(target));
  expect(cpuOf(upperBound)).toBeGreaterThan(cpuOf(target));
  for (const pod of await week.ready()) {
    const asked = pod.spec?.containers[0]?.resources?.requests;
    expect(Math.abs(cpuOf(asked) / cpuOf(target) - 1)).toBeLessThan(0.1);
    expect(Math.abs(memoryOf(asked) / memoryOf(target) - 1)).toBeLessThan(0.1);
  }
  expect(await week.ready()).toHaveLength(2);
  expect(week.names.size).toBeGreaterThanOrEqual(4);
  expect(week.names.size).toBeLessThanOrEqual(16);
  expect(week.fewest).toBe(1);
});

test("a budget that allows no disruption is honoured", async () => {
  await week.begin();
  const spec = { minAvailable: 2, selector: { matchLabels: labels } };
  await week.plane.client.resource(podDisruptionBudgets, "default").create({ metadata: { name: "web" }, spec });
  const before = (await week.ready()).map((p) => p.metadata.name);
  await week.pass(6 * HOUR);
  expect((await week.ready()).map((p) => p.metadata.name)).toEqual(before);
});

test("what was learned is kept in the API, so that it outlives the controller", async () => {
  await week.begin({ updatePolicy: { updateMode: "Off" } });
  await week.pass(6 * HOUR);
  const saved = week.plane.client.resource<VerticalPodAutoscaler>({
    ...verticalPodAutoscalers,
    kind: "VerticalPodAutoscalerCheckpoint",
    plural: "verticalpodautoscalercheckpoints",
  });
  const { items } = await saved.list();
  expect(items).toMatchObject([
    {
      metadata: { name: "web-app", ownerReferences: [{ name: "web" }] },
      spec: { vpaObjectName: "web", containerName: "app" },
      status: { version: "v3" },
    },
  ]);
});
