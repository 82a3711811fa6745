/** From objects to answers: the loop on a real API server in this process, its proxy on real sockets. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import http from "node:http";
import type { AddressInfo } from "node:net";
import net from "node:net";
import { networkInterfaces } from "node:os";
import { text } from "node:stream/consumers";
import { connect as tlsConnect } from "node:tls";
import type { Ingress } from "../../api/generated/types.ts";
import { events } from "../../api/kinds/core/event.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { ingresses } from "../../api/kinds/networking/ingress.ts";
import { ingressClasses } from "../../api/kinds/networking/ingressclass.ts";
import { type ApiObject, nameOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { Informers } from "../../informer/informers.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom, systemClock } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import { createCa, issueCert } from "../../util/pki.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { runIngress } from "./ingress.ts";
import { ingress, slice, toService } from "./testing/objects.ts";

let server: ApiServer;
let client: Client;
let backend: http.Server;
let loop: { stop: AbortController; done: Promise<unknown> };
const backendPort = () => (backend.address() as AddressInfo).port;

/** Endpoints may not be on the loopback. */
function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = all.find((a) => a.family === "IPv4" && !a.internal);
  if (!found) throw new Error("this machine has no address but the loopback");
  return found.address;
}
const own = machineAddress();

beforeAll(async () => {
  const store = new MemoryStore();
  server = await ApiServer.open({ store, clock: systemClock, random: seededRandom(1), log: silent });
  client = new Client(server.transport(), "test");
  backend = http.createServer((req, res) => res.end(`${req.headers.host} ${req.url}`));
  await new Promise<void>((done) => backend.listen(0, own, done));
  loop = start(0);
});
afterAll(async () => {
  await stop(loop);
  await server.close();
  backend.closeAllConnections();
  backend.close();
});
beforeEach(async () => {
  for (const ref of [ingresses, services, endpointSlices, secrets, events]) {
    await client.resource(ref as ResourceRef, "default").deleteCollection();
  }
});

function start(httpPort: number): typeof loop {
  const controller = new AbortController();
  const parts = { client, clock: systemClock, random: seededRandom(1), log: silent };
  const informers = new Informers(parts);
  const o = { ...parts, informers, nodeName: "n1", addresses: ["127.0.0.1"], httpPort, httpsPort: 0 };
  const done = Promise.all([informers.run(controller.signal), runIngress(o, controller.signal)]);
  return { stop: controller, done };
}

async function stop(l: typeof loop): Promise<void> {
  l.stop.abort();
  await l.done;
}

/** The first object of the kind for which `holds` is true. */
async function until<T extends ApiObject>(ref: ResourceRef<T>, holds: (o: DeepReadonly<T>) => boolean) {
  const deadline = AbortSignal.timeout(60_000);
  for await (const { type, object } of client.resource(ref, "default").watch({}, deadline)) {
    if (type !== "DELETED" && type !== "BOOKMARK" && holds(object as DeepReadonly<T>)) return object as DeepReadonly<T>;
  }
  throw new Error(`no ${ref.kind} as wanted`);
}

const create = async (i: Ingress) => {
  const { creationTimestamp: _, uid: __, ...metadata } = i.metadata;
  await client.resource(ingresses, "default").create({ ...i, metadata });
};

async function web(name = "web"): Promise<void> {
  await client.resource(services, "default").create({
    metadata: { name, namespace: "default" },
    spec: { ports: [{ name: "http", port: 80 }] },
  });
  await client.resource(endpointSlices, "default").create(slice(name, { [own]: "ready" }, backendPort()));
}

/** The ports that the status shows, HTTP and HTTPS in the order of their numbers. */
async function portsOf(name: string): Promise<number[]> {
  const shown = (o: DeepReadonly<Ingress>) => o.status?.loadBalancer?.ingress?.[0];
  const found = await until(ingresses, (o) => nameOf(o) === name && shown(o)?.ports?.length === 2);
  expect(shown(found)?.ip).toBe("127.0.0.1");
  return (shown(found)?.ports ?? []).map((p) => p.port);
}

const speaksTls = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = tlsConnect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => resolve(true));
    socket.once("error", () => resolve(false)).once("secureConnect", () => socket.destroy());
  });

async function httpPort(name: string): Promise<number> {
  const [a = 0, b = 0] = await portsOf(name);
  return (await speaksTls(a)) ? b : a;
}

const get = (port: number, host: string, path = "/") =>
  new Promise<string>((resolve, reject) => {
    http
      .get({ host: "127.0.0.1", port, path, headers: { host }, agent: false }, (res) => {
        text(res).then((body) => resolve(`${res.statusCode} ${body.trim()}`), reject);
      })
      .on("error", reject);
  });

const event = (reason: string) => until(events, (e) => e.reason === reason);

test("the class is there and the default; an Ingress that names none is served, and shows where", async () => {
  const made = await client.resource(ingressClasses).get("mini-kube");
  expect(made.spec?.controller).toBe("mini-kube.io/ingress");
  await web();
  const i = ingress("plain", [["a.test", "/", "web"]]);
  delete i.spec?.ingressClassName;
  await create(i);
  expect(await get(await httpPort("plain"), "a.test", "/x?y")).toBe("200 a.test /x?y");
});

test("changes of rules, endpoints and Services are in force as soon as they are seen", async () => {
  await web();
  await create(ingress("main", [["a.test", "/", "web"]]));
  const port = await httpPort("main");
  const eventually = async (host: string, wanted: RegExp) => {
    const deadline = systemClock.now() + 5_000;
    let got = "";
    do got = await get(port, host);
    while (!wanted.test(got) && systemClock.now() < deadline);
    expect(got).toMatch(wanted);
  };
  await eventually("a.test", /^200 /);
  const slices = client.resource(endpointSlices, "default");
  await slices.update(slice("web", { [own]: "dead" }, backendPort()));
  await eventually("a.test", /^503 .*service "default\/web" has no ready endpoints/);
  await slices.update(slice("web", { [own]: "ready" }, backendPort()));
  await eventually("a.test", /^200 /);
  await client.resource(services, "default").delete("web");
  await eventually("a.test", /^503 .*service "default\/web" not found/);
  await client.resource(ingresses, "default").delete("main");
  await eventually("a.test", /^404 /);
});

describe("what cannot be done is told in an event, the rest is served", () => {
  test("a Service and a Secret that are missing, an annotation that means nothing", async () => {
    await web();
    const i = ingress("odd", [
      ["gone.test", "/", "gone"],
      ["a.test", "/", "web"],
    ]);
    i.metadata.annotations = { "mini-kube.io/ssl-redirect": "perhaps" };
    i.spec = { ...i.spec, tls: [{ hosts: ["a.test"], secretName: "none" }] };
    await create(i);
    expect((await event("ServiceUnavailable")).message).toBe('service "default/gone" not found');
    expect((await event("SecretUnavailable")).message).toMatch(/^secret "default\/none" not found/);
    expect((await event("InvalidAnnotation")).involvedObject?.name).toBe("odd");
    const port = await httpPort("odd");
    expect(await get(port, "a.test")).toMatch(/^308 /);
    expect(await get(port, "gone.test")).toMatch(/^503 /);
  });

  test("a port that another program uses", async () => {
    await web();
    const holder = net.createServer();
    await new Promise<void>((done) => holder.listen(0, "127.0.0.1", done));
    const { port } = holder.address() as AddressInfo;
    const second = start(port);
    await create(ingress("held", [["a.test", "/", "web"]]));
    expect((await event("PortUnavailable")).message).toBe(
      `127.0.0.1:${port} of node n1 cannot be served: another program uses it; choose another port with: mini-kube up --ingress-http-port`,
    );
    await stop(second);
    holder.close();
  });
});

test("a certificate is served as soon as its Secret has it; one that breaks leaves it in force", async () => {
  await web();
  const ca = await createCa("test", systemClock.now());
  const { cert, key } = await issueCert(
    ca,
    { commonName: "s.test", dnsNames: ["s.test"], usages: ["server"] },
    systemClock.now(),
  );
  const data = (crt: string) => ({
    "tls.crt": Buffer.from(crt).toString("base64"),
    "tls.key": Buffer.from(key).toString("base64"),
  });
  const secret = { metadata: { name: "cert", namespace: "default" }, type: "kubernetes.io/tls", data: data(cert) };
  await client.resource(secrets, "default").create(secret);
  const i = ingress("secure", []);
  i.spec = { ...i.spec, rules: [], defaultBackend: toService("web"), tls: [{ hosts: ["s.test"], secretName: "cert" }] };
  await create(i);
  const [a = 0, b = 0] = await portsOf("secure");
  const port = (await speaksTls(a)) ? a : b;
  const subject = () =>
    new Promise<unknown>((resolve, reject) => {
      const o = { port, host: "127.0.0.1", servername: "s.test", rejectUnauthorized: false };
      const socket = tlsConnect(o, () => resolve(socket.getPeerCertificate().subject.CN));
      socket.once("error", reject).once("secureConnect", () => socket.destroy());
    });
  expect(await subject()).toBe("s.test");
  await client.resource(secrets, "default").update({ ...secret, data: data("-----BEGIN nonsense") });
  expect((await event("SecretUnavailable")).message).toMatch(
    /has no certificate that can be used: .*the one before stays in force/,
  );
  expect(await subject()).toBe("s.test");
});
