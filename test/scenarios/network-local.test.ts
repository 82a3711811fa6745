import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { condition } from "../../pkg/api/pod.ts";
import { encryptionFile, ready, TestCluster } from "../harness/cluster.ts";
import { EtcdServer } from "../harness/etcd.ts";
import { eventually, run } from "../harness/process.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "../images/images.ts";

/** Several clusters, and several nodes of one, on one machine and one Docker daemon. */
let etcd: EtcdServer;
/** Two processes on one store. */
let first: TestCluster;
let second: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  etcd = await EtcdServer.start();
  const { store } = etcd;
  first = await TestCluster.start({ store });
  const encryption = readFileSync(encryptionFile(first.home), "utf8");
  second = await TestCluster.start({ store, nodeName: "node-2", encryption });
  await second.untilNode((n) => n.status?.conditions?.some((c) => c.type === "NetworkUnavailable") ?? false);
});
afterAll(async () => {
  await second?.remove();
  await first?.remove();
  await etcd?.stop();
});

async function start(cluster: TestCluster, name: string, nodeName: string): Promise<string> {
  const containers = [{ name: "main", image: BUSYBOX_IMAGE, command: ["sleep", "3600"] }];
  const spec = { nodeName, containers, terminationGracePeriodSeconds: 0 };
  await cluster.client.resource(pods, "default").create({ metadata: { name, namespace: "default" }, spec });
  return (await cluster.untilPod(name, ready)).status?.podIP ?? "";
}

const idOf = (cluster: TestCluster) => readFileSync(join(cluster.home, "cluster-id"), "utf8").trim();
const rangesIn = (status: string) => /network +Pods (\S+), Services (\S+)/.exec(status)?.slice(1) ?? [];

/** What the machine's network has of the cluster. */
async function traces(id: string): Promise<string> {
  const commands = ["ip -br link", "nft list tables", "iptables -S DOCKER-USER", "docker network ls", "docker ps -a"];
  return (await run("sh", ["-c", `(${commands.join("; ")}) | grep ${id}`])).stdout;
}

test("Pods of two nodes on one Docker daemon reach each other, though Docker keeps its networks apart", async () => {
  const [a, b] = [await start(first, "a", "node-1"), await start(first, "b", "node-2")];
  expect(a.split(".").slice(0, 2)).toEqual(b.split(".").slice(0, 2));
  expect(a.split(".")[2]).not.toBe(b.split(".")[2]);
  const pings = [
    ["a", b],
    ["b", a],
  ] as const;
  for (const [from, to] of pings) {
    const ping = () => first.kubectl(["exec", from, "--", "ping", "-c", "1", "-W", "1", to]);
    expect((await eventually(ping, (r) => r.code === 0)).stdout).toContain(" 0% packet loss");
  }
  expect(await first.kubectlOk(["get", "node", "node-1", "-o", "yaml"])).toContain(
    `mini-kube.io/peers: '{"node-2":"host"}'`,
  );
});

test("another cluster has other addresses; killed and taken down it leaves nothing, and the first goes on", async () => {
  const own = rangesIn(await first.cliOk(["status"]));
  expect(rangesIn(await second.cliOk(["status"]))).toEqual(own);
  const other = await TestCluster.start({ nodeName: "other" });
  try {
    await other.untilNode((n) => condition(n.status?.conditions, "Ready")?.status === "True");
    const theirs = rangesIn(await other.cliOk(["status"]));
    expect(theirs).toHaveLength(2);
    for (const range of theirs) expect(own).not.toContain(range);
    expect((await start(other, "p", "other")).startsWith(`${theirs[0]?.split(".0.0/")[0]}.`)).toBe(true);
    await other.kill9();
    const id = idOf(other);
    expect(await traces(id)).toContain(`mk-${id}`);
    expect(await other.cliOk(["down"])).toContain("removed the containers of 1 Pod");
    expect(await traces(id)).toBe("");
  } finally {
    await other.remove();
  }
  const b = (await first.client.resource(pods, "default").get("b")).status?.podIP ?? "";
  expect(await first.kubectlOk(["exec", "a", "--", "ping", "-c", "1", "-W", "1", b])).toContain(" 0% packet loss");
});

test("a range that the machine routes elsewhere is refused with the route's name", async () => {
  const bridge = (await first.client.resource(pods, "default").get("a")).status?.podIP?.replace(
    /\.\d+\.\d+$/,
    ".0.0/16",
  );
  const env = { ...first.env, MINI_KUBE_HOME: join(first.home, "refused") };
  const refused = await first.cli(["up", "--port", "6499", "--pod-cidr", bridge ?? ""], { env });
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toMatch(new RegExp(`--pod-cidr ${bridge} overlaps with [\\d./]+, which is routed to mk-`));
});
