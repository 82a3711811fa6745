import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Service } from "../../pkg/api/generated/types.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { events } from "../../pkg/api/kinds/core/event.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { services } from "../../pkg/api/kinds/core/service.ts";
import { endpointSlices } from "../../pkg/api/kinds/discovery/endpointslice.ts";
import { statefulSets } from "../../pkg/api/kinds/apps/statefulset.ts";
import type { ResourceRef } from "../../pkg/api/resource.ts";
import { exchange } from "../../pkg/network/dns/exchange.ts";
import type { Question } from "../../pkg/network/dns/message.ts";
import { DnsMetrics } from "../../pkg/network/dns/metrics.ts";
import { DnsServer } from "../../pkg/network/dns/server.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { eventually, PATIENCE_MS } from "../harness/process.ts";
import { ensureGlibcImage, GLIBC_IMAGE } from "../images/glibc.ts";

/** Names as programs in Pods look them up: with glibc, through resolv.conf, the Service's address and the node's DNS. */
let cluster: TestCluster;
/** What the rest of the world is here: two servers that the cluster's DNS is told to ask. */
let world: DnsServer;
let abyss: DnsServer;
const asked: string[] = [];

const WORLD: Readonly<Record<string, string>> = { "example.com": "192.0.2.80", "www.example.org": "192.0.2.81" };

async function answer({ name, type }: Question) {
  asked.push(`${name} ${type}`);
  const data = WORLD[name.toLowerCase()];
  const soa = { mname: "a", rname: "b", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 5 };
  const authorities = [{ name: "", ttl: 5, type: "SOA" as const, data: soa }];
  if (data === undefined) return { rcode: "NXDOMAIN" as const, answers: [], authorities };
  const answers = type === "A" ? [{ name, ttl: 5, type: "A" as const, data }] : [];
  return { rcode: "NOERROR" as const, answers, authorities };
}

const listen = (resolve: typeof answer) =>
  DnsServer.listen({
    address: "127.0.0.1",
    port: 0,
    metrics: new DnsMetrics(),
    clock: systemClock,
    log: silent,
    resolve,
  });

beforeAll(async () => {
  await ensureGlibcImage();
  world = await listen(answer);
  abyss = await listen(() => new Promise(() => {}));
  cluster = await TestCluster.start();
  await cluster.kubectlOk(["create", "namespace", "prod"]);
  await client("client");
  await cluster.untilPod("client", ready);
});
afterAll(async () => {
  await cluster?.remove();
  await world?.[Symbol.asyncDispose]();
  await abyss?.[Symbol.asyncDispose]();
});

async function client(name: string, spec: object = {}, labels: Record<string, string> = {}): Promise<void> {
  const main = { name: "main", image: GLIBC_IMAGE, command: ["sleep", "3600"] };
  await cluster.client.resource(pods, "default").create({
    metadata: { name, labels },
    spec: { containers: [main], terminationGracePeriodSeconds: 0, ...spec },
  });
}

const service = (name: string, spec: NonNullable<Service["spec"]>, namespace = "default") =>
  cluster.client.resource(services, namespace).create({ metadata: { name }, spec });

/** What `getent` says in the Pod: an address and a name a line; "" for a name that is none. */
async function getent(words: readonly string[], pod = "client"): Promise<string> {
  const { stdout } = await cluster.kubectl(["exec", pod, "--", "getent", ...words]);
  return stdout
    .split("\n")
    .filter((line) => !/DGRAM|RAW/.test(line))
    .map((line) => line.replace("STREAM", "").split(/\s+/).filter(Boolean).join(" "))
    .join("\n")
    .trim();
}

/** A change takes its way through a watch, and what was no name may be remembered for 5 s by nobody but the client. */
async function untilSays(words: readonly string[], wanted: RegExp, pod = "client"): Promise<string> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const said = await getent(words, pod);
    if (wanted.test(said)) return said;
    if (Date.now() > end) throw new Error(`${words.join(" ")} in ${pod}: ${said}\n${cluster.log()}`);
  }
}

const inForce = (hosts: string) => untilSays(["ahostsv4", "in-force.example"], new RegExp(`^${hosts} `));

/** The DNS' settings, from the moment on when they are in force. */
async function set(data: Record<string, string>): Promise<void> {
  const maps = cluster.client.resource(configMaps, "kube-system");
  const marker = `192.0.2.${(Date.now() % 250) + 1}`;
  const hosts = `${marker} in-force.example`;
  const map = { metadata: { name: "mini-kube-dns", namespace: "kube-system" }, data: { ...data, hosts } };
  await maps.delete("mini-kube-dns").catch(() => {});
  await maps.create(map);
  await inForce(marker);
}

const kubeDns = () =>
  cluster.kubectlOk(["get", "svc", "-n", "kube-system", "kube-dns", "-o", "jsonpath={.spec.clusterIP}"]);
const upstreams = (...servers: DnsServer[]) => JSON.stringify(servers.map((s) => `127.0.0.1:${s.port}`));

describe("names of the cluster, from inside a Pod", () => {
  test("resolv.conf is as Kubernetes writes it, with the address of the Service kube-dns", async () => {
    const ip = await kubeDns();
    expect(ip).toMatch(/^10\.\d+\.0\.10$/);
    const [search, ...rest] = (await cluster.kubectlOk(["exec", "client", "--", "cat", "/etc/resolv.conf"])).split(
      "\n",
    );
    expect(search).toMatch(/^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local\b/);
    expect(rest.filter(Boolean)).toEqual([`nameserver ${ip}`, "options ndots:5"]);
  });

  test("Services by every form of their name, of this namespace and of others, and back from the address", async () => {
    const web = (await service("web", { ports: [{ port: 80 }] })).spec?.clusterIP ?? "";
    const api = (await service("api", { ports: [{ port: 80 }] }, "prod")).spec?.clusterIP ?? "";
    await service("away", { type: "ExternalName", externalName: "api.prod.svc.cluster.local" });
    await untilSays(["ahostsv4", "web"], new RegExp(`^${web} `));
    for (const name of ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local", "WEB"]) {
      expect(await getent(["ahostsv4", name])).toMatch(new RegExp(`^${web} `));
    }
    await untilSays(["ahostsv4", "away"], new RegExp(`^${api} `));
    expect(await getent(["ahostsv4", "api.prod"])).toMatch(new RegExp(`^${api} `));
    expect(await getent(["ahostsv4", "api"])).toBe("");
    expect(await getent(["hosts", web])).toBe(`${web} web.default.svc.cluster.local`);
    expect(await getent(["ahostsv4", "kubernetes.default"])).toMatch(/^10\.\d+\.0\.1 /);
  });

  test("the Pods of a headless Service, each by its own name, before and after one is replaced", async () => {
    await service("db", { clusterIP: "None", selector: { app: "db" }, ports: [{ name: "sql", port: 5432 }] });
    const container = { name: "main", image: GLIBC_IMAGE, command: ["sleep", "3600"] };
    const template = {
      metadata: { labels: { app: "db" } },
      spec: { containers: [container], terminationGracePeriodSeconds: 0 },
    };
    await cluster.client.resource(statefulSets, "default").create({
      metadata: { name: "db" },
      spec: { serviceName: "db", replicas: 2, selector: { matchLabels: { app: "db" } }, template },
    });
    const ips = async () => {
      const made = [await cluster.untilPod("db-0", ready), await cluster.untilPod("db-1", ready)];
      return made.map((p) => p.status?.podIP ?? "");
    };
    const [first = "", second = ""] = await ips();
    await untilSays(["ahostsv4", "db-1.db"], new RegExp(`^${second} `));
    expect(await getent(["ahostsv4", "db-0.db.default.svc.cluster.local"])).toMatch(new RegExp(`^${first} `));
    const all = (await getent(["ahostsv4", "db"])).split("\n").map((line) => line.split(" ")[0]);
    expect(new Set(all)).toEqual(new Set([first, second]));
    expect(await getent(["hosts", first])).toBe(`${first} db-0.db.default.svc.cluster.local`);
    // A Pod knows its own full name.
    expect(await cluster.kubectlOk(["exec", "db-0", "--", "hostname", "-f"])).toBe(
      "db-0.db.default.svc.cluster.local\n",
    );

    const before = (await cluster.client.resource(pods, "default").get("db-0")).metadata.uid;
    await cluster.client.resource(pods, "default").delete("db-0");
    const again = await cluster.untilPod("db-0", (p) => ready(p) && p.metadata.uid !== before);
    await untilSays(["ahostsv4", "db-0.db"], new RegExp(`^${again.status?.podIP} `));
  });

  test("more addresses than a datagram holds: all of them, over TCP", async () => {
    const addresses = Array.from({ length: 60 }, (_, i) => `198.51.100.${i + 1}`);
    await service("many", { clusterIP: "None", ports: [{ port: 80 }] });
    await cluster.client.resource(endpointSlices, "default").create({
      metadata: { name: "many-1", labels: { "kubernetes.io/service-name": "many" } },
      addressType: "IPv4",
      endpoints: addresses.map((ip) => ({ addresses: [ip] })),
      ports: [{ port: 80 }],
    });
    const said = await untilSays(["ahostsv4", "many"], /^198/);
    expect(new Set(said.split("\n").map((line) => line.split(" ")[0]))).toEqual(new Set(addresses));
  });

  test("the host itself, and a Pod on its network, find the same names", async () => {
    const spec = { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" };
    await client("on-host", spec);
    await cluster.untilPod("on-host", ready);
    await untilSays(["ahostsv4", "kubernetes.default"], /^10\.\d+\.0\.1 /, "on-host");
    const host = await kubeDns();
    const srv = { name: "_https._tcp.kubernetes.default.svc.cluster.local", type: "SRV" };
    const { answers } = await exchange({ host, port: 53 }, srv, AbortSignal.timeout(PATIENCE_MS));
    expect(answers).toMatchObject([{ data: { port: 443, target: "kubernetes.default.svc.cluster.local" } }]);
  });
});

describe("names of the rest of the world", () => {
  test("come from the servers that are set, with one question instead of four", async () => {
    await set({ upstreamNameservers: upstreams(world) });
    asked.length = 0;
    expect(await getent(["ahostsv4", "example.com"])).toMatch(/^192\.0\.2\.80 /);
    expect(asked).toEqual(["example.com A"]);
    expect(await getent(["ahostsv4", "nobody.example.com"])).toBe("");
  });

  test("an ExternalName leads there", async () => {
    await service("www", { type: "ExternalName", externalName: "www.example.org" });
    expect(await untilSays(["ahostsv4", "www"], /^192/)).toMatch(/^192\.0\.2\.81 www\.example\.org/);
  });

  test("a server that hangs holds up nothing: the next one answers, and the cluster's own names come at once", async () => {
    await set({
      upstreamNameservers: upstreams(abyss, world),
      stubDomains: `{"nowhere.example": ${upstreams(abyss)}}`,
    });
    const stuck = getent(["ahostsv4", "a.nowhere.example."]);
    expect(await getent(["ahostsv4", "www.example.org"])).toMatch(/^192\.0\.2\.81 /);
    expect(await getent(["ahostsv4", "kubernetes.default"])).toMatch(/^10\.\d+\.0\.1 /);
    expect(await stuck).toBe("");
  });

  test("settings that cannot be read are said in an event; those before stay in force", async () => {
    await set({ upstreamNameservers: upstreams(world) });
    await cluster.kubectlOk([
      "patch",
      "configmap",
      "-n",
      "kube-system",
      "mini-kube-dns",
      "-p",
      '{"data":{"autopath":"perhaps"}}',
    ]);
    const message = await eventOf("InvalidSettings");
    expect(message).toBe('autopath: must be "true" or "false"; the settings before stay in force');
    expect(await getent(["ahostsv4", "example.com"])).toMatch(/^192\.0\.2\.80 /);
  });
});

test("after mini-kube was killed and started again, Pods that ran all the time find names as before", async () => {
  await cluster.kill9();
  await cluster.up();
  expect(await untilSays(["ahostsv4", "kubernetes.default"], /^10/)).toMatch(/^10\.\d+\.0\.1 /);
});

test("another cluster on the same machine, of another domain, has names of its own", async () => {
  const other = await TestCluster.start({ args: ["--cluster-domain", "k8s.example"] });
  try {
    const main = { name: "main", image: GLIBC_IMAGE, command: ["sleep", "3600"] };
    const spec = { containers: [main], terminationGracePeriodSeconds: 0 };
    await other.client.resource(pods, "default").create({ metadata: { name: "there" }, spec });
    await other.untilPod("there", ready);
    const address = (c: TestCluster) => c.kubectlOk(["get", "svc", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"]);
    const [ours, theirs] = [await address(cluster), await address(other)];
    expect(theirs).not.toBe(ours);
    const found = (name: string) => other.kubectl(["exec", "there", "--", "getent", "ahostsv4", name]);
    const there = await eventually(
      () => found("kubernetes.default.svc.k8s.example"),
      (done) => done.code === 0,
    );
    expect(there.stdout).toMatch(new RegExp(`^${theirs} `));
    expect((await found("kubernetes.default")).stdout).toMatch(new RegExp(`^${theirs} `));
    expect(await getent(["ahostsv4", "kubernetes.default"])).toMatch(new RegExp(`^${ours} `));
  } finally {
    await other.remove();
  }
});

async function eventOf(reason: string): Promise<string> {
  const all = cluster.client.resource(events as ResourceRef, "kube-system");
  for await (const { object } of all.watch({}, AbortSignal.timeout(PATIENCE_MS))) {
    const event = object as { reason?: string; message?: string };
    if (event.reason === reason) return event.message ?? "";
  }
  throw new Error(`no event ${reason}`);
}
