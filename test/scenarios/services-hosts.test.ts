/** Services across machines: each with its own kernel tables, its own Docker and its own agent. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { join } from "node:path";
import { root } from "../harness/cluster.ts";
import { type TestHost, TestHosts } from "../harness/hosts.ts";
import type { LoadReport } from "../harness/load.ts";
import { eventually, type Running } from "../harness/process.ts";
import { parseWho, WHO_LABELS, WHO_PATH, whoDeployment } from "../harness/who.ts";
import { ensureTestImages } from "../images/images.ts";

let hosts: TestHosts;

const SPREAD = {
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: WHO_LABELS },
    },
  ],
};
const service = (name: string, nodePort: number, spec: object = {}) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name },
  spec: { type: "NodePort", selector: WHO_LABELS, ports: [{ port: 80, targetPort: "http", nodePort }], ...spec },
});
const LOCAL = { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 32100 };
const BUDGET = {
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  metadata: { name: "web" },
  spec: { minAvailable: 2, selector: { matchLabels: WHO_LABELS } },
};

beforeAll(async () => {
  const { sandbox, busybox } = await ensureTestImages();
  hosts = await TestHosts.start({ links: [2], images: [sandbox, busybox] });
  const items = [whoDeployment(4, SPREAD), service("web", 30080), service("near", 30081, LOCAL), BUDGET];
  const list = { apiVersion: "v1", kind: "List", items };
  await hosts.first.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify(list) });
  await k("rollout status deployment/web --timeout=90s");
});
afterAll(() => hosts?.remove());

const k = (command: string) => hosts.first.kubectlOk(command.split(" "));

/** As a machine that has nothing but Node would: each request on a connection of its own, a line of the answer each. */
const ASK = `
  const [url, count] = process.argv.slice(1);
  for (let i = 0; i < Number(count); i++) {
    const answer = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(5_000) });
    console.log((await answer.text()).trim());
  }`;

/** So many requests: who answered, and whom it saw. */
async function ask(from: Pick<TestHost, "run">, url: string, count = 1): Promise<readonly (readonly string[])[]> {
  const args = ["--input-type=module", "-e", ASK, url, String(count)];
  const { code, stdout, stderr } = await from.run(process.execPath, args);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim().split("\n").map(parseWho);
}

const outside = { run: (...args: Parameters<TestHost["run"]>) => hosts.outsideRun(...args) };
const pods = async (node: string) =>
  (await k(`get pods -l app=web --field-selector spec.nodeName=${node} -o jsonpath={.items[*].metadata.name}`))
    .split(" ")
    .filter(Boolean)
    .toSorted();

async function loadReport(load: Running): Promise<LoadReport> {
  load.kill("SIGTERM");
  await load.exited;
  return JSON.parse(load.output.trim().split("\n").at(-1) ?? "") as LoadReport;
}
const startLoad = async (running: (command: string, args: readonly string[]) => Running, url: string) => {
  const load = running(process.execPath, ["--import", "tsx", join(root, "test/harness/load-main.ts"), url]);
  await load.until(/running/);
  return load;
};

describe("from every machine", () => {
  test("a ClusterIP reaches the Pods of all nodes", async () => {
    const ip = await k("get service web -o jsonpath={.spec.clusterIP}");
    for (const host of hosts.hosts) {
      const answering = new Set((await ask(host, `http://${ip}${WHO_PATH}`, 60)).map(([pod]) => pod));
      expect(answering.size).toBe(4);
    }
  });

  test("node ports: of each node, from each node and from outside", async () => {
    for (const from of [...hosts.hosts, outside]) {
      for (const to of hosts.hosts) {
        const answering = new Set((await ask(from, `http://${to.ip}:30080${WHO_PATH}`, 60)).map(([pod]) => pod));
        expect(answering.size).toBe(4);
      }
    }
  });

  test("externalTrafficPolicy Local: the node's own Pods, and they see who asks", async () => {
    for (const host of hosts.hosts) {
      const seen = await ask(outside, `http://${host.ip}:30081${WHO_PATH}`, 20);
      expect(new Set(seen.map(([pod]) => pod))).toEqual(new Set(await pods(host.name)));
      expect([...new Set(seen.map(([, client]) => client))]).toEqual([hosts.outside.ip]);
    }
  });

  test("a load balancer's address is every node's, and its health check counts the node's endpoints", async () => {
    const addresses = await eventually(
      () => k("get service near -o jsonpath={.status.loadBalancer.ingress[*].ip}"),
      (text) => text.split(" ").length === 2,
    );
    expect(addresses.split(" ").toSorted()).toEqual(hosts.hosts.map((h) => h.ip).toSorted());
    for (const host of hosts.hosts) {
      const args = ["--input-type=module", "-e", ASK, `http://${host.ip}:32100/`, "1"];
      const { stdout } = await hosts.outsideRun(process.execPath, args);
      expect(JSON.parse(stdout)).toMatchObject({
        service: { namespace: "default", name: "near" },
        localEndpoints: (await pods(host.name)).length,
      });
    }
  });
});

describe("no request fails", () => {
  test("while all Pods are replaced", async () => {
    const load = await startLoad((c, a) => hosts.outsideRunning(c, a), `http://${hosts.first.ip}:30080${WHO_PATH}`);
    await k("rollout restart deployment/web");
    await k("rollout status deployment/web --timeout=90s");
    await eventually(
      async () => (await Promise.all(hosts.hosts.map((h) => pods(h.name)))).flat().length,
      (count) => count === 4,
    );
    const { failures, sent } = await loadReport(load);
    expect(failures).toEqual([]);
    expect(sent).toBeGreaterThan(100);
  });

  test("while a node is drained", async () => {
    const [, second] = hosts.hosts;
    if (!second) throw new Error("two hosts are needed");
    const load = await startLoad((c, a) => hosts.outsideRunning(c, a), `http://${hosts.first.ip}:30080${WHO_PATH}`);
    await k(`drain ${second.name} --ignore-daemonsets --delete-emptydir-data --timeout=100s`);
    expect(await pods(second.name)).toEqual([]);
    await k("rollout status deployment/web --timeout=90s");
    const { failures, sent } = await loadReport(load);
    expect(failures).toEqual([]);
    expect(sent).toBeGreaterThan(100);
    await k(`uncordon ${second.name}`);
  });
});
