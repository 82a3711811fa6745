/** Endpoints and EndpointSlices on a whole simulated cluster. */
import { expect, test } from "@jest/globals";
import type { Endpoints, EndpointSlice, ReplicaSet, Service } from "../../pkg/api/generated/types.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { endpoints } from "../../pkg/api/kinds/core/endpoints.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { services } from "../../pkg/api/kinds/core/service.ts";
import { endpointSlices } from "../../pkg/api/kinds/discovery/endpointslice.ts";
import { isReason } from "../../pkg/api/status.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const labels = { app: "web" };
const web = (spec: object = {}): Service => ({
  metadata: { name: "web" },
  spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }], ...spec },
});

const slicesOf = async (c: SimulatedCluster, name = "web") =>
  (
    await c.client
      .resource<EndpointSlice>(endpointSlices, "default")
      .list({ labelSelector: `kubernetes.io/service-name=${name}` })
  ).items as readonly DeepReadonly<EndpointSlice>[];
const endpointsOf = async (c: SimulatedCluster, name = "web"): Promise<DeepReadonly<Endpoints> | undefined> => {
  try {
    return await c.client.resource<Endpoints>(endpoints, "default").get(name);
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
};
/** Names of the Pods that slices and Endpoints show as ready; undefined when they differ. */
async function ready(c: SimulatedCluster): Promise<string | undefined> {
  const inSlices = (await slicesOf(c))
    .flatMap((s) => s.endpoints ?? [])
    .flatMap((e) => (e.conditions?.ready ? [e.targetRef?.name ?? ""] : []));
  const inOld = ((await endpointsOf(c))?.subsets ?? [])
    .flatMap((s) => s.addresses ?? [])
    .map((a) => a.targetRef?.name ?? "");
  return inSlices.toSorted().join() === inOld.toSorted().join() ? inOld.toSorted().join() : undefined;
}
const readyPods = async (c: SimulatedCluster) =>
  (await c.pods())
    .filter((p) => isReady(p) && p.metadata.labels?.["app"] === "web" && !p.metadata.deletionTimestamp)
    .map((p) => p.metadata.name ?? "")
    .toSorted()
    .join();

test("a Service's endpoints follow its Pods within milliseconds, and go with it", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  const api = c.client.resource<Service>(services, "default");
  const created = await api.create(web());
  await c.until(async () => (await slicesOf(c)).length === 1 && (await endpointsOf(c)) !== undefined, 100);
  expect((await slicesOf(c))[0]).toMatchObject({ endpoints: [], ports: [] });
  await c.create("a", [{}], { labels });
  await c.create("b", [{}], { labels });
  await c.create("other");
  await c.untilReady("a", "b", "other");
  await c.until(async () => (await ready(c)) === "a,b", 20);
  const [slice] = await slicesOf(c);
  expect(slice).toMatchObject({
    addressType: "IPv4",
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    metadata: {
      labels: { "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" },
      ownerReferences: [{ kind: "Service", name: "web", uid: created.metadata.uid, controller: true }],
    },
  });
  await c.client.resource(pods, "default").patch("b", "application/merge-patch+json", { metadata: { labels: null } });
  await c.until(async () => (await ready(c)) === "a", 20);
  await c.delete("a", 30);
  await c.until(async () => (await ready(c)) === "", 20);
  await api.delete("web");
  await c.until(async () => (await slicesOf(c)).length === 0 && (await endpointsOf(c)) === undefined);
  expect((await readyPods(c)).includes("b")).toBe(false);
});

test("what somebody else does to a slice or to Endpoints is undone", async () => {
  await using c = await SimulatedCluster.start();
  await c.client.resource<Service>(services, "default").create(web());
  await c.create("a", [{}], { labels });
  await c.untilReady("a");
  await c.until(async () => (await ready(c)) === "a");
  const name = (await slicesOf(c))[0]?.metadata.name ?? "";
  await c.client.resource(endpointSlices, "default").patch(name, "application/merge-patch+json", { endpoints: [] });
  await c.client.resource(endpoints, "default").delete("web");
  await c.until(async () => (await ready(c)) === "a", 1_000);
  expect((await slicesOf(c)).map((slice) => slice.metadata.name)).toEqual([name]);
});

test("many Pods: one that is replaced touches two slices at most, and no other", async () => {
  await using c = await SimulatedCluster.start({ nodes: 3 });
  const sets = c.client.resource<ReplicaSet>(replicaSets, "default");
  await c.client.resource<Service>(services, "default").create(web());
  const template = { metadata: { labels }, spec: { containers: [{ name: "app", image: "app" }] } };
  await sets.create({
    metadata: { name: "web" },
    spec: { replicas: 250, selector: { matchLabels: labels }, template },
  });
  const settled = (count: number) => async () => {
    const now = await readyPods(c);
    return now.split(",").length === count && (await ready(c)) === now;
  };
  await c.until(settled(250), 300_000, 500);
  const before = await slicesOf(c);
  expect(before.every((s) => (s.endpoints ?? []).length <= 100)).toBe(true);
  const extra = c.client.resource(pods, "default");
  const [first] = await c.pods();
  await extra.delete(first?.metadata.name ?? "", { gracePeriodSeconds: 0 });
  await c.until(settled(250), 60_000, 100);
  const after = await slicesOf(c);
  const versions = new Map(before.map((s) => [s.metadata.name, s.metadata.resourceVersion]));
  const untouched = after.filter((s) => versions.get(s.metadata.name) === s.metadata.resourceVersion);
  expect(before.length).toBeGreaterThan(2);
  expect(untouched.length).toBeGreaterThanOrEqual(before.length - 2);
});

test("Endpoints written by hand are shown as slices, and those follow them", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  const api = c.client.resource<Endpoints>(endpoints, "default");
  await c.client
    .resource<Service>(services, "default")
    .create({ metadata: { name: "db" }, spec: { ports: [{ port: 5432 }] } });
  const subsets = [{ addresses: [{ ip: "192.0.2.1" }], ports: [{ port: 5432 }] }];
  await api.create({ metadata: { name: "db" }, subsets });
  const shown = async () => (await slicesOf(c, "db")).flatMap((s) => s.endpoints ?? []).flatMap((e) => e.addresses);
  await c.until(async () => (await shown()).join() === "192.0.2.1", 100);
  await api.patch("db", "application/merge-patch+json", {
    subsets: [{ ...subsets[0], addresses: [{ ip: "192.0.2.7" }] }],
  });
  await c.until(async () => (await shown()).join() === "192.0.2.7", 100);
  await api.patch("db", "application/merge-patch+json", {
    metadata: { labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
  });
  await c.until(async () => (await slicesOf(c, "db")).length === 0, 100);
  expect((await endpointsOf(c, "db"))?.subsets).toHaveLength(1);
});
