/** What moves in blue-green and canary roll-outs: the very manifests of the documentation, on a simulated cluster. */
import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Deployment, EndpointSlice, Service } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { services } from "../../pkg/api/kinds/core/service.ts";
import { endpointSlices } from "../../pkg/api/kinds/discovery/endpointslice.ts";
import type { ApiObject } from "../../pkg/api/object.ts";
import { parseYamlDocuments } from "../../pkg/util/yaml.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

const MERGE = "application/merge-patch+json";

async function apply(c: SimulatedCluster, manifest: string): Promise<void> {
  const path = join(import.meta.dirname, "../../manifests", manifest);
  for (const { value } of parseYamlDocuments(readFileSync(path, "utf8"), path)) {
    const object = value as ApiObject;
    if (object.kind === "Service") await c.client.resource<Service>(services, "default").create(object as Service);
    else await c.client.resource<Deployment>(deployments, "default").create(withoutProgram(object as Deployment));
  }
}

/** The fake runtime has no web server; what serves is not what is shown here. */
function withoutProgram(d: Deployment): Deployment {
  const spec = d.spec?.template.spec;
  if (!spec) return d;
  const policy = "IfNotPresent";
  spec.containers = spec.containers.map(({ name, ports = [] }) => ({
    name,
    image: "app",
    imagePullPolicy: policy,
    ports,
  }));
  return d;
}

/** How many ready endpoints the Service has, by the value that their Pods have of a label. */
async function traffic(c: SimulatedCluster, service: string, label: string): Promise<Record<string, number>> {
  const labelSelector = `kubernetes.io/service-name=${service}`;
  const { items } = await c.client.resource<EndpointSlice>(endpointSlices, "default").list({ labelSelector });
  const ready = items.flatMap((s) => s.endpoints ?? []).filter((e) => e.conditions?.ready);
  const counts: Record<string, number> = {};
  for (const { targetRef } of ready) {
    const value = (await c.pod(targetRef?.name ?? ""))?.metadata.labels?.[label] ?? "none";
    counts[value] = (counts[value] ?? 0) + 1;
  }
  return counts;
}

const is = (c: SimulatedCluster, service: string, label: string, wanted: Record<string, number>) => async () => {
  const now = await traffic(c, service, label);
  return Object.keys({ ...now, ...wanted }).every((key) => now[key] === wanted[key]);
};

test("blue-green: one write moves all, and back; green can be looked at before", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  await apply(c, "blue-green.yaml");
  await c.until(is(c, "shop", "version", { blue: 2 }));
  await c.until(is(c, "shop-preview", "version", { green: 2 }));
  const api = c.client.resource<Service>(services, "default");
  const seen = new Set<string>();
  const moved = (wanted: Record<string, number>) => async () => {
    seen.add(Object.keys(await traffic(c, "shop", "version")).join("+"));
    return is(c, "shop", "version", wanted)();
  };
  await api.patch("shop", MERGE, { spec: { selector: { version: "green" } } });
  await c.until(moved({ green: 2 }));
  await api.patch("shop", MERGE, { spec: { selector: { version: "blue" } } });
  await c.until(moved({ blue: 2 }));
  // Never both, never nobody.
  expect([...seen].toSorted()).toEqual(["blue", "green"]);
});

test("canary: its share of the Pods is its share of the endpoints, and the two Deployments leave each other's alone", async () => {
  await using c = await SimulatedCluster.start({ nodes: 3 });
  await apply(c, "canary.yaml");
  await c.until(is(c, "api", "track", { stable: 9, canary: 1 }));
  const api = c.client.resource<Deployment>(deployments, "default");
  const scale = (replicas: number) => api.patch("api-canary", MERGE, { spec: { replicas } });
  await scale(3);
  await c.until(is(c, "api", "track", { stable: 9, canary: 3 }));
  await scale(0);
  await c.until(is(c, "api", "track", { stable: 9 }), 120_000);
  expect((await api.get("api-stable")).status?.availableReplicas).toBe(9);
});
