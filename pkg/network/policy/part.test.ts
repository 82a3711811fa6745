/** The part on a real API server in this process; the kernel is the test. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { NetworkPolicy, Pod } from "../../api/generated/types.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { networkPolicies } from "../../api/kinds/networking/networkpolicy.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { Informers } from "../../informer/informers.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom, systemClock } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import { PolicyPart } from "./part.ts";
import { judge, type Packet } from "./testing/packets.ts";

const LIMIT_MS = 60_000;
const parts = { clock: systemClock, random: seededRandom(1), log: silent };
let server: ApiServer;
let client: Client;
let informers: Informers;
let part: PolicyPart;
let watches: Disposable;
let stop: AbortController;
let running: Promise<void>;
/** How often the part has said that something may be different. */
let changes: number;

beforeEach(async () => {
  server = await ApiServer.open({ ...parts, store: new MemoryStore() });
  client = new Client(server.transport(), "test");
  informers = new Informers({ ...parts, client });
  part = new PolicyPart({ ...parts, client, informers, nodeName: "n1" });
  stop = new AbortController();
  changes = 0;
  watches = part.onChange(() => void changes++);
  running = informers.run(stop.signal);
  await part.whenReady(stop.signal);
});
afterEach(async () => {
  watches[Symbol.dispose]();
  stop.abort();
  await running;
  await server.close();
});

const container = { name: "c", image: "busybox", ports: [{ name: "http", containerPort: 80 }] };

async function createPod(name: string, o: { labels?: Record<string, string>; node?: string; ip?: string } = {}) {
  const made = await client.resource(pods, "default").create({
    metadata: { name, labels: o.labels ?? { app: name } },
    spec: { nodeName: o.node ?? "n1", containers: [container] },
  });
  const pod = o.ip === undefined ? made : await setIp(name, o.ip);
  await informers.of(pods).whenShows(pod, AbortSignal.timeout(LIMIT_MS));
  return pod;
}

const setIp = (name: string, ip: string) =>
  client
    .resource(pods, "default")
    .patch(
      name,
      "application/merge-patch+json",
      { status: { podIP: ip, podIPs: [{ ip }] } },
      { subresource: "status" },
    );

async function createPolicy(name: string, spec: NonNullable<NetworkPolicy["spec"]>) {
  const made = await client.resource(networkPolicies, "default").create({ metadata: { name }, spec });
  await informers.of(networkPolicies).whenShows(made, AbortSignal.timeout(LIMIT_MS));
}

const web = { podSelector: { matchLabels: { app: "web" } } };
const tcp = (from: string, to: string): Packet => ({ from, to, protocol: "tcp", port: 80 });
const verdict = (p: Packet) => judge(part.plan(), "policy-forward", p);

describe("what is planned", () => {
  test("follows policies, and Pods on this node and on others", async () => {
    await createPod("web", { ip: "10.244.0.2" });
    await createPod("client", { ip: "10.244.1.2", node: "n2" });
    expect(part.plan()).toEqual({});
    const from = [{ podSelector: { matchLabels: { app: "client" } } }];
    await createPolicy("p", { ...web, ingress: [{ from, ports: [{ port: "http" }] }] });
    expect(verdict(tcp("10.244.1.2", "10.244.0.2"))).toBe("accept");
    expect(verdict(tcp("10.244.1.3", "10.244.0.2"))).toBe("drop");
    await createPod("client-2", { ip: "10.244.1.3", node: "n2", labels: { app: "client" } });
    expect(verdict(tcp("10.244.1.3", "10.244.0.2"))).toBe("accept");
    const pod = await client.resource(pods, "default").patch("client-2", "application/merge-patch+json", {
      metadata: { labels: { app: "other" } },
    });
    await informers.of(pods).whenShows(pod, AbortSignal.timeout(LIMIT_MS));
    expect(verdict(tcp("10.244.1.3", "10.244.0.2"))).toBe("drop");
  });

  test("Pods that are none to policies: those on the host's network, and those that have ended", async () => {
    await createPod("web", { ip: "10.244.0.2" });
    await createPod("client", { ip: "10.244.1.2", node: "n2" });
    await createPolicy("p", { ...web, ingress: [{ from: [{ podSelector: {} }] }] });
    expect(verdict(tcp("10.244.1.2", "10.244.0.2"))).toBe("accept");
    const ended = await client
      .resource(pods, "default")
      .patch("client", "application/merge-patch+json", { status: { phase: "Succeeded" } }, { subresource: "status" });
    await informers.of(pods).whenShows(ended, AbortSignal.timeout(LIMIT_MS));
    expect(verdict(tcp("10.244.1.2", "10.244.0.2"))).toBe("drop");
  });

  test("nobody is woken by Pods where there is no policy, nor by what does not matter to one", async () => {
    await createPod("web", { ip: "10.244.0.2" });
    expect(changes).toBe(0);
    await createPolicy("p", web);
    expect(changes).toBe(1);
    const pod = await client.resource(pods, "default").patch("web", "application/merge-patch+json", {
      metadata: { annotations: { a: "b" } },
    });
    await informers.of(pods).whenShows(pod, AbortSignal.timeout(LIMIT_MS));
    expect(changes).toBe(1);
  });
});

/** Until what is planned keeps everybody from this address: the guard asks the API first. */
async function untilClosed(ip: string): Promise<void> {
  while (verdict(tcp("10.244.1.1", ip)) !== "drop") await new Promise((resolve) => setImmediate(resolve));
}

describe("a Pod that is about to start", () => {
  const guard = (pod: Awaited<ReturnType<typeof createPod>>, ip: string, signal = AbortSignal.timeout(LIMIT_MS)) =>
    part.guard(pod as Pod, ip, signal);

  test("waits for nothing where no policy isolates it", async () => {
    await createPolicy("p", web);
    await guard(await createPod("other"), "10.244.0.9");
    expect(judge(part.plan(), "policy-forward", tcp("10.244.1.1", "10.244.0.9"))).not.toBe("drop");
  });

  test("G1: waits until its rules are in the kernel, with an address that its status does not show", async () => {
    await createPolicy("p", web);
    let started = false;
    const starting = guard(await createPod("web"), "10.244.0.9").then(() => (started = true));
    part.applied(); // of what was planned before it was told of the Pod
    await untilClosed("10.244.0.9");
    expect(started).toBe(false);
    part.applied();
    await starting;
    // With the same address again nothing is new.
    await guard(await client.resource(pods, "default").get("web"), "10.244.0.9");
  });

  test("G1: by a policy, too, of which the watch has not told yet", async () => {
    const pod = await createPod("web");
    await client.resource(networkPolicies, "default").create({ metadata: { name: "p" }, spec: web });
    const starting = guard(pod, "10.244.0.9");
    await untilClosed("10.244.0.9");
    part.applied();
    await expect(starting).resolves.toBeUndefined();
  });

  test("the address that the agent gave counts, whatever its status still shows", async () => {
    await createPolicy("p", web);
    const starting = guard(await createPod("web", { ip: "10.244.0.8" }), "10.244.0.9");
    await untilClosed("10.244.0.9");
    expect(judge(part.plan(), "policy-forward", tcp("10.244.1.1", "10.244.0.8"))).not.toBe("drop");
    part.applied();
    await starting;
  });

  test("is forgotten when it is gone; who waits is told when the signal aborts", async () => {
    await createPolicy("p", web);
    const pod = await createPod("web");
    const end = new AbortController();
    const starting = guard(pod, "10.244.0.9", end.signal);
    await untilClosed("10.244.0.9");
    end.abort(new Error("enough"));
    await expect(starting).rejects.toThrow("enough");
    expect(verdict(tcp("10.244.1.1", "10.244.0.9"))).toBe("drop");
    await client.resource(pods, "default").delete("web", { gracePeriodSeconds: 0 });
    await informers.of(pods).whenGone(pod, AbortSignal.timeout(LIMIT_MS));
    expect(part.plan()).toEqual({});
  });
});
