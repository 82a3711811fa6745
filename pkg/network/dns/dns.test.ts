/** The node's DNS on a real API server in this process, with real sockets and a real server to ask further. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { events } from "../../api/kinds/core/event.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { Informers } from "../../informer/informers.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom, systemClock } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import { type DnsOptions, runDns } from "./dns.ts";
import { exchange } from "./exchange.ts";
import { DnsMetrics } from "./metrics.ts";
import { DnsServer, type DnsServerOptions } from "./server.ts";

/** Endpoints may not be on the loopback. */
function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = all.find((a) => a.family === "IPv4" && !a.internal);
  if (!found) throw new Error("this machine has no address but the loopback");
  return found.address;
}

const LIMIT_MS = 60_000;
const address = machineAddress();
const random = seededRandom(1);
const parts = { clock: systemClock, random, log: silent };

/** Another DNS server. */
const serve = (resolve: DnsServerOptions["resolve"], where = { address: "127.0.0.1", port: 0 }) =>
  DnsServer.listen({ ...where, metrics: new DnsMetrics(), clock: systemClock, log: silent, resolve });
/** Knows one address for every name. */
const knows =
  (data: string): DnsServerOptions["resolve"] =>
  async ({ name, type }) => ({ rcode: "NOERROR", answers: type === "A" ? [{ name, ttl: 60, type, data }] : [] });

let server: ApiServer;
let client: Client;
let other: DnsServer;
let dir: string;
let stop: AbortController;
let running: Promise<unknown>;
let at: { port: number; metricsPort: number };

function start(o: Partial<DnsOptions> = { port: 0, metricsPort: 0 }): Promise<typeof at> {
  const informers = new Informers({ ...parts, client });
  return new Promise((onListening) => {
    const dns = { ...parts, client, informers, nodeName: "n1", address, serviceAddress: "10.96.0.10" };
    const own = { resolvConf: join(dir, "resolv.conf"), onListening, ...o };
    running = Promise.all([informers.run(stop.signal), runDns({ ...dns, ...own }, stop.signal)]);
  });
}

beforeEach(async () => {
  const store = new MemoryStore();
  server = await ApiServer.open({ ...parts, store });
  client = new Client(server.transport(), "test");
  dir = mkdtempSync(join(tmpdir(), "mk-dns-"));
  writeFileSync(join(dir, "resolv.conf"), "search lan.example\n");
  other = await serve(knows("192.0.2.44"));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await running;
  await other[Symbol.asyncDispose]();
  await server.close();
  rmSync(dir, { recursive: true });
});

const ask = (name: string, type = "A") =>
  exchange({ host: address, port: at.port }, { name, type }, AbortSignal.timeout(LIMIT_MS));

/** Until the answer is as wanted: a change takes its way through a watch. */
async function untilAnswer(name: string, wanted: string): Promise<void> {
  const end = systemClock.now() + LIMIT_MS;
  for (let last = ""; last !== wanted;) {
    if (systemClock.now() > end) throw new Error(`${name}: ${last}, not ${wanted}`);
    const { rcode, answers } = await ask(name);
    last = answers.length > 0 ? answers.map((a) => (typeof a.data === "string" ? a.data : a.type)).join(" ") : rcode;
  }
}

interface SomeEvent {
  readonly reason?: string;
  readonly message?: string;
  readonly involvedObject?: { readonly kind?: string; readonly name?: string };
}

async function eventOf(reason: string, namespace: string): Promise<SomeEvent> {
  const all = client.resource(events as ResourceRef, namespace);
  for await (const { object } of all.watch({}, AbortSignal.timeout(LIMIT_MS))) {
    if ((object as SomeEvent).reason === reason) return object as SomeEvent;
  }
  throw new Error(`no event ${reason}`);
}

const settings = (data: Record<string, string>) => ({
  metadata: { name: "mini-kube-dns", namespace: "kube-system" },
  data,
});
const maps = () => client.resource(configMaps, "kube-system");

describe("the node's DNS", () => {
  test("is a Service with one endpoint a node, whose traffic stays on its node", async () => {
    at = await start();
    const service = await client.resource(services, "kube-system").get("kube-dns");
    expect(service.spec).toMatchObject({ clusterIP: "10.96.0.10", internalTrafficPolicy: "Local", type: "ClusterIP" });
    expect(service.spec?.selector).toBeUndefined();
    const slice = await client.resource(endpointSlices, "kube-system").get("kube-dns-n1");
    expect(slice.endpoints).toEqual([{ addresses: [address], conditions: { ready: true }, nodeName: "n1" }]);
    expect(slice.ports?.map((p) => `${p.name} ${p.protocol} ${p.port}`)).toEqual([
      `dns UDP ${at.port}`,
      `dns-tcp TCP ${at.port}`,
      `metrics TCP ${at.metricsPort}`,
    ]);
  });

  test("started again on another port, it says so; the Service that a user has changed stays", async () => {
    at = await start();
    await client.resource(services, "kube-system").patch("kube-dns", "application/merge-patch+json", {
      metadata: { labels: { mine: "yes" } },
    });
    stop.abort();
    await running;
    stop = new AbortController();
    at = await start();
    const slice = await client.resource(endpointSlices, "kube-system").get("kube-dns-n1");
    expect(slice.ports?.[0]?.port).toBe(at.port);
    expect((await client.resource(services, "kube-system").get("kube-dns")).metadata.labels?.["mine"]).toBe("yes");
  });

  test("knows a Service as soon as it is there, until it is gone", async () => {
    at = await start();
    expect((await ask("kubernetes.default.svc.cluster.local")).answers).toMatchObject([{ data: "10.96.0.1" }]);
    await untilAnswer("web.default.svc.cluster.local", "NXDOMAIN");
    const spec = { clusterIP: "10.96.0.77", ports: [{ port: 80 }] };
    await client.resource(services, "default").create({ metadata: { name: "web" }, spec });
    await untilAnswer("web.default.svc.cluster.local", "10.96.0.77");
    expect((await ask("77.0.96.10.in-addr.arpa", "PTR")).answers).toMatchObject([
      { data: "web.default.svc.cluster.local" },
    ]);
    await client.resource(services, "default").delete("web");
    await untilAnswer("web.default.svc.cluster.local", "NXDOMAIN");
  });

  test("serves another domain than cluster.local", async () => {
    at = await start({ domain: "k8s.example", port: 0, metricsPort: 0 });
    expect((await ask("kubernetes.default.svc.k8s.example")).answers).toMatchObject([{ data: "10.96.0.1" }]);
  });

  test("is set by a ConfigMap; what cannot be read is said, and changes nothing", async () => {
    at = await start();
    expect((await ask("example.com")).rcode).toBe("REFUSED");
    const upstreams = JSON.stringify([`127.0.0.1:${other.port}`]);
    await maps().create(settings({ upstreamNameservers: upstreams }));
    await untilAnswer("example.com", "192.0.2.44");
    await maps().update(settings({ upstreamNameservers: "nonsense" }));
    const { message, involvedObject } = await eventOf("InvalidSettings", "kube-system");
    expect(message).toMatch(/^"nonsense" is no JSON.*; the settings before stay in force$/);
    expect(involvedObject?.name).toBe("mini-kube-dns");
    await untilAnswer("example.org", "192.0.2.44");
    await maps().update(settings({ hosts: "192.0.2.7 printer.example" }));
    await untilAnswer("printer.example", "192.0.2.7");
    await maps().delete("mini-kube-dns");
    await untilAnswer("printer.example", "REFUSED");
  });

  test("an address that this machine does not have is said to be missing, in an event of the node", async () => {
    // Only the waiting is another's.
    const clock = { ...systemClock, sleep: (_ms: number, signal: AbortSignal) => systemClock.sleep(1, signal) };
    void start({ address: "192.0.2.1", clock });
    const { message, involvedObject } = await eventOf("DNSNotServed", "default");
    expect(message).toMatch(/EADDRNOTAVAIL/);
    expect(involvedObject).toMatchObject({ kind: "Node", name: "n1" });
  });

  test("counts", async () => {
    at = await start();
    await ask("kubernetes.default.svc.cluster.local");
    const page = await fetch(`http://${address}:${at.metricsPort}/metrics`);
    expect(await page.text()).toContain('coredns_dns_requests_total{proto="udp",type="A"} 1\n');
    expect((await fetch(`http://${address}:${at.metricsPort}/`)).status).toBe(404);
  });

  test("where the usual port is taken, another one does", async () => {
    const taken = await serve(knows("192.0.2.45"), { address, port: 53 }).catch(() => undefined); // who may not have it is in the same position
    at = await start({});
    expect(at.port).not.toBe(53);
    expect((await ask("kubernetes.default.svc.cluster.local")).rcode).toBe("NOERROR");
    await taken?.[Symbol.asyncDispose]();
  });

  test("names of the cluster do not wait for a server that hangs", async () => {
    const hangs = await serve(() => new Promise(() => {}));
    at = await start();
    const hosts = "192.0.2.7 in-force.example";
    await maps().create(settings({ upstreamNameservers: JSON.stringify([`127.0.0.1:${hangs.port}`]), hosts }));
    await untilAnswer("in-force.example", "192.0.2.7");
    const slow = Array.from({ length: 600 }, (_, i) => ask(`n${i}.example`));
    expect((await ask("kubernetes.default.svc.cluster.local")).rcode).toBe("NOERROR");
    expect(new Set((await Promise.all(slow)).map((a) => a.rcode))).toEqual(new Set(["SERVFAIL"]));
    await hangs[Symbol.asyncDispose]();
  });
});
