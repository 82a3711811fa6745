/** Services on real Docker: by every door, under load, and with what goes wrong. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import type { Service } from "../../pkg/api/generated/types.ts";
import { services } from "../../pkg/api/kinds/core/service.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { TestCluster } from "../harness/cluster.ts";
import { Load } from "../harness/load.ts";
import { eventually, runOk } from "../harness/process.ts";
import { parseWho, WHO_LABELS, WHO_PATH, whoDeployment } from "../harness/who.ts";
import { ensureTestImages } from "../images/images.ts";

let cluster: TestCluster;

const service = (name: string, spec: object) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name },
  spec: { selector: WHO_LABELS, ports: [{ name: "web", port: 8000, targetPort: "http" }], ...spec },
});

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
  await apply(
    whoDeployment(3),
    service("web", {}),
    service("open", { type: "LoadBalancer" }),
    service("sticky", { sessionAffinity: "ClientIP" }),
    service("external", { externalIPs: ["203.0.113.77"] }),
    service("nobody", { selector: { app: "nobody" } }),
  );
  await k("rollout status deployment/web --timeout=80s");
});
afterAll(() => cluster?.remove());

const k = (command: string) => cluster.kubectlOk(command.split(" "));
const apply = (...objects: readonly object[]) =>
  cluster.kubectlOk(["apply", "-f", "-"], {
    input: JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
  });
const get = (name: string): Promise<DeepReadonly<Service>> => cluster.client.resource(services, "default").get(name);
const clusterIpOf = async (name: string) => (await get(name)).spec?.clusterIP ?? "";

/** One request on a connection of its own: who answered, and whom it saw. */
function who(host: string, port: number): Promise<readonly [pod: string, client: string]> {
  return new Promise((resolve, reject) => {
    const url = `http://${host}:${port}${WHO_PATH}`;
    const call = request(url, { agent: false, signal: AbortSignal.timeout(5_000) }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.once("end", () => resolve(parseWho(body)));
    });
    call.once("error", reject);
    call.end();
  });
}

async function tally(host: string, port: number, requests: number): Promise<ReadonlyMap<string, number>> {
  const seen = new Map<string, number>();
  for (let i = 0; i < requests; i++) {
    const [pod] = await who(host, port);
    seen.set(pod, (seen.get(pod) ?? 0) + 1);
  }
  return seen;
}

/** Servers that answer every packet with their name. */
class UdpAnswers implements AsyncDisposable {
  readonly #sockets = new Map<string, Socket>();

  static async start(address: string, names: readonly string[]): Promise<UdpAnswers> {
    const made = new UdpAnswers();
    for (const name of names) {
      const socket = createSocket("udp4");
      socket.on("message", (_, from) => socket.send(name, from.port, from.address));
      await new Promise<void>((resolve) => socket.bind(0, address, resolve));
      made.#sockets.set(name, socket);
    }
    return made;
  }

  portOf(name: string): number {
    return this.#sockets.get(name)?.address().port ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.values()) socket.close();
  }
}

/** A client that keeps its port, as resolvers and games do. */
class UdpAsker implements Disposable {
  readonly #socket = createSocket("udp4");

  static async to(address: string, port: number): Promise<UdpAsker> {
    const asker = new UdpAsker();
    await new Promise<void>((resolve) => asker.#socket.connect(port, address, resolve));
    return asker;
  }

  /** Undefined: no answer within half a second, or a refusal. */
  ask(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const end = (answer: string | undefined) => {
        clearTimeout(timer);
        this.#socket.off("message", hear).off("error", fail);
        resolve(answer);
      };
      const hear = (message: Buffer) => end(message.toString());
      const fail = () => end(undefined);
      const timer = setTimeout(fail, 500);
      this.#socket.on("message", hear).on("error", fail);
      this.#socket.send("who?");
    });
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

const refused = (host: string, port: number) =>
  who(host, port).then(
    () => "answered",
    (error: NodeJS.ErrnoException) => error.code,
  );

describe("every door of a Service", () => {
  test("ClusterIP from the node: every Pod gets its share", async () => {
    const shares = await tally(await clusterIpOf("web"), 8000, 150);
    expect(shares.size).toBe(3);
    // Five standard deviations of 150 throws of a die of three sides.
    for (const share of shares.values()) expect(Math.abs(share - 50)).toBeLessThan(29);
  });

  test("by its name from a Pod, which the answering Pod sees as it is; itself, too", async () => {
    const [pod] = (await k("get pods -l app=web -o jsonpath={.items[*].metadata.name}")).split(" ");
    const ip = await k(`get pod ${pod} -o jsonpath={.status.podIP}`);
    const ask = "printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc web 8000 | tail -n 1";
    const script = `for i in $(seq 30); do ${ask}; done`;
    const answers = await cluster.kubectlOk(["exec", pod ?? "", "--", "sh", "-c", script]);
    const lines = answers.trim().split("\n");
    expect(lines).toHaveLength(30);
    const seen = lines.map(parseWho);
    const clientsAt = (isOwn: boolean) => seen.filter(([name]) => (name === pod) === isOwn).map(([, client]) => client);
    expect([...new Set(clientsAt(false))]).toEqual([ip]);
    // From itself to itself the answer must come back through the proxy.
    expect(clientsAt(true).length).toBeGreaterThan(0);
    expect(clientsAt(true)).not.toContain(ip);
  });

  test("LoadBalancer: an address that answers; node ports at the node and at localhost", async () => {
    const open = await eventually(
      () => get("open"),
      (s) => s.status?.loadBalancer?.ingress?.[0]?.ip !== undefined,
    );
    const ip = open.status?.loadBalancer?.ingress?.[0]?.ip ?? "";
    expect(await k("get service open --no-headers")).toMatch(new RegExp(`^open +LoadBalancer +\\S+ +${ip} `));
    const nodePort = open.spec?.ports?.[0]?.nodePort ?? 0;
    for (const [host, port] of [
      [ip, 8000],
      [ip, nodePort],
      ["127.0.0.1", nodePort],
    ] as const) {
      expect((await tally(host, port, 30)).size).toBeGreaterThan(1);
    }
  });

  test("sessionAffinity: one client, one Pod", async () => {
    expect((await tally(await clusterIpOf("sticky"), 8000, 20)).size).toBe(1);
  });

  test("externalIPs", async () => {
    expect((await tally("203.0.113.77", 8000, 20)).size).toBeGreaterThan(1);
  });

  test("no endpoints, or a port it does not have: refused at once", async () => {
    expect(await refused(await clusterIpOf("nobody"), 8000)).toBe("ECONNREFUSED");
    expect(await refused(await clusterIpOf("web"), 8001)).toBe("ECONNREFUSED");
  });

  test("a second balancer at the same port is told why it gets no address of a node", async () => {
    await apply(service("late", { type: "LoadBalancer" }));
    const late = await eventually(
      () => get("late"),
      (s) => s.status?.loadBalancer?.ingress?.[0]?.ip !== undefined,
    );
    expect(late.status?.loadBalancer?.ingress?.[0]?.ip).toBe(late.spec?.clusterIP);
    const told = await eventually(
      () => k("describe service late"),
      (text) => text.includes("SyncLoadBalancerFailed"),
    );
    expect(told).toMatch(/port TCP\/8000 of the nodes' addresses is used by default\/open/);
    await k("delete service late");
  });
});

describe("no request fails", () => {
  const loadOn = async (name: string, keepAlive = false) =>
    new Load({ url: `http://${await clusterIpOf(name)}:8000${WHO_PATH}`, concurrency: 4, keepAlive });

  test("while all Pods are replaced, though they end at once when they are told to", async () => {
    await using load = await loadOn("web");
    await load.more(50);
    await k("rollout restart deployment/web");
    await k("rollout status deployment/web --timeout=80s");
    // The last of the old ones are on their way out when the roll-out is complete.
    await eventually(
      () => k("get pods -l app=web -o jsonpath={.items[*].metadata.name}"),
      (names) => names.split(" ").length === 3,
    );
    await load.more(50);
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect(new Set(Object.keys(answers).map((a) => a.split(" ")[0])).size).toBe(6);
  });

  test("while the cluster's process is killed and started again", async () => {
    await using load = await loadOn("web");
    await load.more(50);
    await cluster.kill9();
    await load.more(200);
    await cluster.up();
    await load.more(200);
    await k("rollout status deployment/web --timeout=80s");
    expect((await load.stop()).failures).toEqual([]);
  });

  test("while it is scaled down and up", async () => {
    await using load = await loadOn("web");
    await load.more(50);
    await k("scale deployment/web --replicas=1");
    await eventually(
      () => k("get pods -l app=web -o jsonpath={.items[*].metadata.name}"),
      (names) => !names.includes(" "),
    );
    await k("scale deployment/web --replicas=3");
    await k("rollout status deployment/web --timeout=80s");
    await load.more(50);
    expect((await load.stop()).failures).toEqual([]);
  });
});

describe("UDP", () => {
  test("a client whose endpoint goes is sent to another at once, from the same port", async () => {
    const address = await k("get node -o jsonpath={.items[0].status.addresses[0].address}");
    await using answers = await UdpAnswers.start(address, ["a", "b"]);
    const slice = (name: string) => ({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, labels: { "kubernetes.io/service-name": "talk" } },
      addressType: "IPv4",
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: "talk", port: answers.portOf(name), protocol: "UDP" }],
    });
    const talk = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "talk" },
      spec: { ports: [{ name: "talk", port: 5000, protocol: "UDP" }] },
    };
    await apply(talk, slice("a"), slice("b"));
    const ask = await UdpAsker.to(await clusterIpOf("talk"), 5000);
    using _socket = ask;
    const first = await eventually(
      () => ask.ask(),
      (answer) => answer !== undefined,
    );
    expect(["a", "b"]).toContain(first);
    // The kernel remembers the flow: it stays where it is.
    expect(await Promise.all([ask.ask(), ask.ask(), ask.ask()])).toEqual([first, first, first]);
    await k(`delete endpointslice ${first}`);
    const other = first === "a" ? "b" : "a";
    expect(
      await eventually(
        () => ask.ask(),
        (answer) => answer === other,
      ),
    ).toBe(other);
  });
});

describe("what is in the kernel", () => {
  const tables = () => runOk("nft", ["list", "tables", "ip"]);
  const clusterId = () => readFileSync(join(cluster.home, "cluster-id"), "utf8").trim();
  const own = async () =>
    (await tables()).split("\n").filter((t) => t.includes(`mini-kube-${clusterId().slice(0, 8)}`));

  test("a table that somebody removed comes back", async () => {
    const [line = ""] = await own();
    expect(line).toMatch(/^table ip mini-kube-/);
    await runOk("nft", ["delete", ...line.split(" ")]);
    await eventually(own, (found) => found.length === 1);
    expect((await tally(await clusterIpOf("web"), 8000, 10)).size).toBeGreaterThan(0);
  });

  test("goes with the cluster", async () => {
    await cluster.cliOk(["down"]);
    expect(await own()).toEqual([]);
  });
});
