import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { IPAddress, Service, ServiceSpec } from "../../api/generated/types.ts";
import { ipAddresses } from "../../api/kinds/networking/ipaddress.ts";
import { services } from "../../api/kinds/core/service.ts";
import { ApiServer } from "../server.ts";
import { Client } from "../../client/client.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { resources } from "../../api/table.ts";
import { serviceAddresses } from "./service-addresses.ts";

let end: () => Promise<void>;
let client: Client;
beforeEach(async () => {
  const store = new MemoryStore();
  const random = seededRandom(3);
  const server = await ApiServer.open({
    store,
    clock: new FakeClock(),
    random,
    log: silent,
    resources,
    plugins: [serviceAddresses({ random, cidr: "10.96.0.0/28" })],
  });
  client = new Client(server.transport(), "test");
  end = async () => {
    await server.close();
    await store.close();
  };
});
afterEach(() => end());

const api = () => client.resource<Service>(services, "default");
/** Less the one of the Service that every cluster has. */
const held = async () =>
  (await client.resource<IPAddress>(ipAddresses).list()).items
    .map((o) => o.metadata.name)
    .filter((name) => name !== "10.96.0.1");
const create = (name: string, spec: Partial<ServiceSpec> = {}) =>
  api().create({ metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });

describe("a Service's addresses", () => {
  it("are given at creation, held by an IPAddress, and free again when the Service is gone", async () => {
    const { spec } = await create("web");
    expect(spec?.clusterIP).toMatch(/^10\.96\.0\.\d+$/);
    expect(spec?.clusterIPs).toEqual([spec?.clusterIP]);
    expect(await held()).toEqual([spec?.clusterIP]);
    const address = await client.resource<IPAddress>(ipAddresses).get(spec?.clusterIP ?? "");
    expect(address.spec?.parentRef).toEqual({ group: "", resource: "services", namespace: "default", name: "web" });
    await api().delete("web");
    expect(await held()).toEqual([]);
  });

  it("are never the same for two, however many are created at once, and the end of the range is told", async () => {
    const results = await Promise.allSettled(Array.from({ length: 13 }, (_, i) => create(`s${i}`)));
    const ips = results.flatMap((r) => (r.status === "fulfilled" ? [r.value.spec?.clusterIP] : []));
    expect(new Set(ips).size).toBe(ips.length);
    expect(ips).toHaveLength(13);
    await expect(create("one-more")).rejects.toThrow("range 10.96.0.0/28 is full");
  });

  it("may be asked for, if they are in the range and free", async () => {
    await create("dns", { clusterIP: "10.96.0.10" });
    await expect(create("other", { clusterIP: "10.96.0.10" })).rejects.toThrow(
      'Service "other" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated',
    );
    await expect(create("far", { clusterIP: "192.168.0.1" })).rejects.toThrow("The range of valid IPs is 10.96.0.0/28");
  });

  it("stay through an update that does not name them, and go with the type that needs them", async () => {
    const { spec } = await create("web", { type: "NodePort" });
    const [port] = spec?.ports ?? [];
    expect(port?.nodePort).toBeGreaterThanOrEqual(30_000);
    const bare = {
      metadata: { name: "web" },
      spec: { type: "NodePort", ports: [{ port: 80 }, { port: 81, name: "b" }] },
    };
    await expect(api().update(bare)).rejects.toThrow("spec.ports[0].name: Required value");
    const patched = await api().patch("web", "application/merge-patch+json", { spec: { selector: { app: "web" } } });
    expect(patched.spec).toMatchObject({ clusterIP: spec?.clusterIP, ports: [{ nodePort: port?.nodePort }] });
    const external = { spec: { type: "ExternalName", externalName: "example.com", ports: null } };
    const { spec: after } = await api().patch("web", "application/merge-patch+json", external);
    expect(after?.clusterIP).toBeUndefined();
    expect(await held()).toEqual([]);
    const again = await create("taker", { type: "NodePort", ports: [{ port: 80, nodePort: port?.nodePort ?? 0 }] });
    expect(again.spec?.ports?.[0]?.nodePort).toBe(port?.nodePort);
    await expect(
      create("late", { type: "NodePort", ports: [{ port: 80, nodePort: port?.nodePort ?? 0 }] }),
    ).rejects.toThrow("provided port is already allocated");
  });

  it("have a port where balancers ask, if traffic stays on the node", async () => {
    const { spec } = await create("local", { type: "LoadBalancer", externalTrafficPolicy: "Local" });
    const health = spec?.healthCheckNodePort;
    expect(health).toBeGreaterThanOrEqual(30_000);
    expect(health).not.toBe(spec?.ports?.[0]?.nodePort);
    const taken = { type: "NodePort", ports: [{ port: 80, nodePort: health ?? 0 }] };
    await expect(create("thief", taken)).rejects.toThrow("provided port is already allocated");
    const patched = await api().patch("local", "application/merge-patch+json", { spec: { type: "ClusterIP" } });
    expect(patched.spec?.healthCheckNodePort).toBeUndefined();
    expect((await create("thief", taken)).spec?.ports?.[0]?.nodePort).toBe(health);
  });

  it("are of the one family that the cluster has", async () => {
    await expect(create("six", { ipFamilies: ["IPv6"] })).rejects.toThrow(
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    );
    await expect(create("both", { ipFamilyPolicy: "RequireDualStack" })).rejects.toThrow(
      'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    );
    expect((await create("either", { ipFamilyPolicy: "PreferDualStack" })).spec?.ipFamilies).toEqual(["IPv4"]);
  });

  it("are none for a headless Service or an ExternalName", async () => {
    const { spec } = await create("peers", { clusterIP: "None" });
    expect(spec?.clusterIP).toBe("None");
    await create("out", { type: "ExternalName", externalName: "example.com", ports: [] });
    expect(await held()).toEqual([]);
  });
});
