/** What only the whole server shows of workloads: views, facets, parts, generated selectors. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { HorizontalPodAutoscaler, Job, Pod, Scale } from "../api/generated/types.ts";
import type { ApiObject } from "../api/object.ts";
import type { Call, Transport } from "../client/transport.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { ApiServer } from "./server.ts";

let store: MemoryStore;
let server: ApiServer;
let api: Transport;

beforeEach(async () => {
  store = new MemoryStore();
  server = await ApiServer.open({ store, clock: new FakeClock(), random: seededRandom(1), log: silent });
  api = server.transport();
});

afterEach(async () => {
  await server.close();
  await store.close();
});

const at = (group: string, version: string, resource: string) => ({ group, version, resource, namespace: "default" });
const deployments = at("apps", "v1", "deployments");
const pods = at("", "v1", "pods");
const jobs = at("batch", "v1", "jobs");
const autoscalers = {
  v1: at("autoscaling", "v1", "horizontalpodautoscalers"),
  v2: at("autoscaling", "v2", "horizontalpodautoscalers"),
};

const call = <T extends ApiObject>(c: Call) => api.call(c) as Promise<T>;
const merge = (body: object): Pick<Call, "patchType" | "body"> => ({ patchType: "application/merge-patch+json", body });

const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "nginx" }] } };
const deployment = { metadata: { name: "web" }, spec: { selector: { matchLabels: { app: "web" } }, template } };

describe("an autoscaler", () => {
  const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
  const body = {
    metadata: { name: "web" },
    spec: { scaleTargetRef, maxReplicas: 4, targetCPUUtilizationPercentage: 50 },
  };

  test("is answered in the version it was asked in", async () => {
    const made = await call<HorizontalPodAutoscaler>({ verb: "create", ...autoscalers.v1, body });
    expect(made).toMatchObject({ apiVersion: "autoscaling/v1", spec: { targetCPUUtilizationPercentage: 50 } });
    const newer = await call({ verb: "get", ...autoscalers.v2, name: "web" });
    expect(newer).toMatchObject({
      apiVersion: "autoscaling/v2",
      metadata: { uid: made.metadata.uid, resourceVersion: made.metadata.resourceVersion },
      spec: { metrics: [{ type: "Resource", resource: { name: "cpu", target: { averageUtilization: 50 } } }] },
    });
    const memory = {
      type: "Resource",
      resource: { name: "memory", target: { type: "Utilization", averageUtilization: 90 } },
    };
    await call({ verb: "patch", ...autoscalers.v2, name: "web", ...merge({ spec: { metrics: [memory] } }) });
    const changed = await call<HorizontalPodAutoscaler>({
      verb: "patch",
      ...autoscalers.v1,
      name: "web",
      ...merge({ spec: { targetCPUUtilizationPercentage: 20 } }),
    });
    expect(changed).toMatchObject({ apiVersion: "autoscaling/v1", spec: { targetCPUUtilizationPercentage: 20 } });
    // What v1 cannot say has come along in its annotations.
    expect(await call({ verb: "get", ...autoscalers.v2, name: "web" })).toMatchObject({
      spec: { metrics: [memory, { resource: { name: "cpu", target: { averageUtilization: 20 } } }] },
    });
  });
});

describe("scale", () => {
  test("is read, put and patched as an object of its own", async () => {
    await call({ verb: "create", ...deployments, body: deployment });
    const scale = { ...deployments, name: "web", subresource: "scale" };
    const read = await call<Scale>({ verb: "get", ...scale });
    expect(read).toMatchObject({ kind: "Scale", spec: { replicas: 1 }, status: { replicas: 0, selector: "app=web" } });
    const put = await call<Scale>({ verb: "update", ...scale, body: { ...read, spec: { replicas: 3 } } });
    expect(put.spec).toEqual({ replicas: 3 });
    await call({ verb: "patch", ...scale, ...merge({ spec: { replicas: 5 } }) });
    const whole = await call({ verb: "get", ...deployments, name: "web" });
    expect(whole).toMatchObject({ metadata: { generation: 3 }, spec: { replicas: 5, template } });
    await expect(call({ verb: "update", ...scale, body: { ...read, spec: { replicas: 9 } } })).rejects.toMatchObject({
      reason: "Conflict",
    });
    await expect(call({ verb: "patch", ...scale, ...merge({ spec: { replicas: -1 } }) })).rejects.toMatchObject({
      reason: "Invalid",
      details: {
        causes: [{ field: "spec.replicas", message: "Invalid value: -1: must be greater than or equal to 0" }],
      },
    });
  });
});

describe("a Pod", () => {
  const pod = {
    metadata: { name: "web" },
    spec: { containers: [{ name: "web", image: "nginx", resources: { requests: { cpu: "100m" } } }] },
  };

  test("takes a container to look into it, and another size", async () => {
    await call({ verb: "create", ...pods, body: pod });
    const debug = { name: "debug", image: "busybox" };
    const patch = { spec: { ephemeralContainers: [debug], containers: [{ name: "web", image: "apache" }] } };
    const looked = await call<Pod>({
      verb: "patch",
      ...pods,
      name: "web",
      subresource: "ephemeralcontainers",
      ...merge(patch),
    });
    expect(looked.spec).toMatchObject({ ephemeralContainers: [debug], containers: [{ image: "nginx" }] });
    const containers = [{ name: "web", image: "nginx", resources: { requests: { cpu: "200m" } } }];
    const resized = await call<Pod>({
      verb: "patch",
      ...pods,
      name: "web",
      subresource: "resize",
      ...merge({ spec: { containers } }),
    });
    expect(resized.spec).toMatchObject({ ephemeralContainers: [debug], containers });
    expect(resized.metadata.generation).toBe(3);
    await expect(
      call({ verb: "patch", ...pods, name: "web", ...merge({ spec: { ephemeralContainers: null } }) }),
    ).rejects.toMatchObject({ reason: "Invalid" });
  });
});

describe("a Job", () => {
  const job = {
    metadata: { generateName: "pi-" },
    spec: { template: { spec: { ...template.spec, restartPolicy: "Never" } } },
  };

  test("selects by the uid it is given, and can be sent back as it came", async () => {
    const made = await call<Job>({ verb: "create", ...jobs, body: job });
    const { name = "", uid } = made.metadata;
    expect(made.spec?.selector).toEqual({ matchLabels: { "batch.kubernetes.io/controller-uid": uid } });
    expect(made.spec?.template.metadata?.labels).toMatchObject({ "controller-uid": uid, "job-name": name });
    const again = await call<Job>({ verb: "update", ...jobs, name, body: made });
    expect(again.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
  });
});
