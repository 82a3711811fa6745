import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { EndpointSlice } from "../../api/generated/types.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { type ApiObject, nameOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { Informers } from "../../informer/informers.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom, systemClock } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { ClusterZone } from "./cluster-zone.ts";

const LIMIT_MS = 60_000;
const parts = { clock: systemClock, random: seededRandom(1), log: silent };
let server: ApiServer;
let client: Client;
let informers: Informers;
let zone: ClusterZone;
let stop: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  server = await ApiServer.open({ ...parts, store: new MemoryStore() });
  client = new Client(server.transport(), "test");
  informers = new Informers({ ...parts, client });
  zone = new ClusterZone({ informers, domain: "cluster.local", dnsAddress: "10.96.0.10" });
  stop = new AbortController();
  running = informers.run(stop.signal);
  await zone.whenSynced(stop.signal);
});
afterEach(async () => {
  stop.abort();
  await running;
  await server.close();
});

/** Until the zone's own copy has it. */
async function shown<T extends ApiObject>(ref: ResourceRef<T>, written: Promise<DeepReadonly<T>>) {
  await informers.of(ref).whenShows(await written, AbortSignal.timeout(LIMIT_MS));
}

async function gone<T extends ApiObject>(ref: ResourceRef<T>, name: string) {
  const api = client.resource(ref, "default");
  const last = await api.get(name);
  await api.delete(name, { gracePeriodSeconds: 0 });
  await informers.of(ref).whenGone(last, AbortSignal.timeout(LIMIT_MS));
}

const names = (list: Iterable<DeepReadonly<ApiObject>>) => [...list].map(nameOf).toSorted();

test("a Service is found by its name and its address, until it is gone", async () => {
  expect(zone.hasNamespace("default")).toBe(true);
  expect(zone.serviceAt("10.96.0.1")?.metadata.name).toBe("kubernetes");
  const spec = { clusterIP: "10.96.0.77", ports: [{ port: 80 }] };
  const before = zone.serial;
  await shown(services, client.resource(services, "default").create({ metadata: { name: "web" }, spec }));
  expect(zone.serial).toBeGreaterThan(before);
  expect([zone.service("default", "web"), zone.serviceAt("10.96.0.77")].map((s) => s && nameOf(s))).toEqual([
    "web",
    "web",
  ]);
  await gone(services, "web");
  expect([zone.service("default", "web"), zone.serviceAt("10.96.0.77")]).toEqual([undefined, undefined]);
});

test("slices are found by their Service and by each address, and by no address they had before", async () => {
  const slice = (name: string, ips: string[]): EndpointSlice => ({
    metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": "db" } },
    addressType: "IPv4",
    endpoints: ips.map((ip) => ({ addresses: [ip] })),
    ports: [],
  });
  const api = client.resource(endpointSlices, "default");
  await shown(endpointSlices, api.create(slice("db-1", ["10.244.0.1", "10.244.0.2"])));
  await shown(endpointSlices, api.create(slice("db-2", ["10.244.0.2"])));
  expect(names(zone.slices("default", "db"))).toEqual(["db-1", "db-2"]);
  expect(names(zone.slices("other", "db"))).toEqual([]);
  expect(names(zone.slicesAt("10.244.0.2"))).toEqual(["db-1", "db-2"]);
  await shown(endpointSlices, api.patch("db-1", "application/merge-patch+json", slice("db-1", ["10.244.0.3"])));
  expect(["10.244.0.1", "10.244.0.2", "10.244.0.3"].map((ip) => names(zone.slicesAt(ip)))).toEqual([
    [],
    ["db-2"],
    ["db-1"],
  ]);
  await gone(endpointSlices, "db-2");
  expect(names(zone.slices("default", "db"))).toEqual(["db-1"]);
  expect(names(zone.slicesAt("10.244.0.2"))).toEqual([]);
});

test("who asks is known by the Pod's address; not of Pods on the host's network, nor of those that have ended", async () => {
  await shown(namespaces, client.resource(namespaces).create({ metadata: { name: "prod" } }));
  const api = client.resource(pods, "prod");
  const containers = [{ name: "c", image: "app" }];
  const at = (ip: string, phase = "Running") => ({ status: { phase, podIP: ip, podIPs: [{ ip }] } });
  const status = (name: string, s: object) =>
    shown(pods, api.patch(name, "application/merge-patch+json", s, { subresource: "status" }));
  await api.create({ metadata: { name: "a" }, spec: { nodeName: "n1", containers } });
  await api.create({ metadata: { name: "host" }, spec: { nodeName: "n1", hostNetwork: true, containers } });
  await status("a", at("10.244.0.5"));
  await status("host", at("192.0.2.2"));
  expect(["10.244.0.5", "192.0.2.2", "10.244.0.6"].map((ip) => zone.namespaceAt(ip))).toEqual([
    "prod",
    undefined,
    undefined,
  ]);
  await status("a", at("10.244.0.5", "Succeeded"));
  expect(zone.namespaceAt("10.244.0.5")).toBeUndefined();
});
