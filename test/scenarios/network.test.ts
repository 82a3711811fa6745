import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { root } from "../harness/cluster.ts";
import { type TestHost, TestHosts } from "../harness/hosts.ts";
import { eventually } from "../harness/process.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "../images/images.ts";

/** Three machines: two on one link, the third behind a router that knows nothing of Pods. */
const PORT = 8080;
const HOST_PORT = 8088;
let hosts: TestHosts;
let n1: TestHost;
let n2: TestHost;
let n3: TestHost;

/** Answers with the address that it sees its client by, and takes whatever is sent to /sink. */
const SERVER = [
  "mkdir -p /www/cgi-bin",
  `printf '#!/bin/sh\\necho Content-Type: text/plain\\necho\\necho from $REMOTE_ADDR\\n' > /www/cgi-bin/me`,
  "chmod +x /www/cgi-bin/me",
  "dd if=/dev/zero of=/www/big bs=1M count=8 2>/dev/null",
  `exec httpd -f -p 0.0.0.0:${PORT} -h /www`,
].join("; ");

function pod(name: string, nodeName: string, container: object = {}, spec: object = {}) {
  const main = { name: "main", image: BUSYBOX_IMAGE, command: ["sh", "-c", SERVER], ...container };
  const metadata = { name, namespace: "default", labels: { app: name } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: { nodeName, terminationGracePeriodSeconds: 0, containers: [main], ...spec },
  };
}

const apply = (...objects: object[]) =>
  n1.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }) });
async function ready(name: string): Promise<void> {
  const done = await n1.kubectl(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=40s"]);
  if (done.code === 0) return;
  const { stdout } = await n1.kubectl(["describe", "pod", name]);
  throw new Error(`${done.stderr}${stdout}\n${hosts.hosts.map((h) => `${h.name}: ${h.log()}`).join("\n")}`);
}
const jsonpath = (what: string, path: string) => n1.kubectlOk(["get", ...what.split(" "), "-o", `jsonpath=${path}`]);
const ipOf = (name: string) => jsonpath(`pod ${name}`, "{.status.podIP}");
const inPod = (name: string, script: string) => n1.kubectl(["exec", name, "--", "sh", "-c", script]);
const get = (ip: string, path = "/cgi-bin/me", port = PORT) =>
  `printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${ip} ${port}`;

/** What a node has of the cluster in its own network. */
async function traces(host: TestHost): Promise<string> {
  const commands = [
    "ip -br link | grep -o '^mk[^@ ]*'",
    "ip route show proto 109",
    "nft list tables | grep mini-kube",
    "iptables -S DOCKER-USER | grep mini-kube",
    "docker network ls --format '{{.Name}}' | grep -v -e bridge -e host -e none",
  ];
  const { stdout } = await host.run("sh", ["-c", commands.map((c) => `(${c})`).join("; ")]);
  return stdout;
}

beforeAll(async () => {
  await ensureTestImages();
  hosts = await TestHosts.start({ links: [2, 1], images: [BUSYBOX_IMAGE] });
  [n1, n2, n3] = hosts.hosts as [TestHost, TestHost, TestHost];
  await apply(...hosts.hosts.map((h, i) => pod(`p${i + 1}`, h.name)));
  for (const name of ["p1", "p2", "p3"]) await ready(name);
});
afterAll(() => hosts?.remove());

describe("Pods of three machines", () => {
  test("each node has a share of the addresses and says how it reaches the others", async () => {
    const cidrs = await Promise.all([1, 2, 3].map((n) => jsonpath(`node node-${n}`, "{.spec.podCIDR}")));
    expect(new Set(cidrs)).toEqual(new Set(["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"]));
    const peers = (n: number) => jsonpath(`node node-${n}`, "{.metadata.annotations.mini-kube\\.io/peers}");
    const known = await eventually(
      () => Promise.all([1, 2, 3].map(peers)),
      (all) => all.every((text) => text.split(",").length === 2),
    );
    expect(known.map((text) => JSON.parse(text) as unknown)).toEqual([
      { "node-2": "route", "node-3": "vxlan" },
      { "node-1": "route", "node-3": "vxlan" },
      { "node-1": "vxlan", "node-2": "vxlan" },
    ]);
    const condition = '{.status.conditions[?(@.type=="NetworkUnavailable")].status}';
    expect(await jsonpath("node node-1", condition)).toBe("False");
  });

  test("every Pod reaches every Pod by its address, and is seen as who it is", async () => {
    const names = ["p1", "p2", "p3"];
    const ips = await Promise.all(names.map(ipOf));
    for (const [i, from] of names.entries()) {
      for (const to of ips) {
        const seen = await eventually(
          () => inPod(from, get(to)),
          (r) => r.stdout.includes("from "),
        );
        expect(`${from} → ${to}: ${seen.stdout}${seen.stderr}`).toContain(`from ${ips[i]}`);
      }
    }
  });

  test.each(["p2", "p3"])("what does not fit into one packet gets to %s and back whole", async (to) => {
    const ip = await ipOf(to);
    const { stdout } = await inPod("p1", `${get(ip, "/big")} | wc -c; ping -c 2 -W 2 -s 4000 ${ip}`);
    expect(Number(stdout.split("\n")[0])).toBeGreaterThan(8 * 2 ** 20);
    expect(stdout).toContain(" 0% packet loss");
  });

  test("what leaves the cluster has the node's address; nodes themselves reach all Pods", async () => {
    const script = `require("http").createServer((q, r) => r.end("from " + q.socket.remoteAddress + "\\n")).listen(9090, "0.0.0.0", () => console.log("up"))`;
    const server = hosts.outsideRunning(process.execPath, ["-e", script]);
    try {
      await server.until(/up/);
      for (const [name, host] of [
        ["p1", n1],
        ["p3", n3],
      ] as const) {
        expect((await inPod(name, get(hosts.outside.ip, "/", 9090))).stdout).toContain(`from ${host.ip}`);
      }
    } finally {
      server.kill();
      await server.exited;
    }
    const [own, far] = [await ipOf("p1"), await ipOf("p3")];
    expect(await n1.runOk("busybox", ["ping", "-c", "1", "-W", "2", own])).toContain(" 0% packet loss");
    expect(await n1.runOk("busybox", ["ping", "-c", "1", "-W", "2", far])).toContain(" 0% packet loss");
  });

  test("a hostPort answers from outside; who comes second says why he does not run", async () => {
    const ports = [{ containerPort: PORT, hostPort: HOST_PORT }];
    await apply(pod("published", n3.name, { ports }));
    await ready("published");
    const ask = get(n3.ip, "/cgi-bin/me", HOST_PORT).replace("| nc", "| busybox nc");
    const answer = await eventually(
      () => hosts.outsideRun("sh", ["-c", ask]),
      (r) => r.stdout !== "",
    );
    expect(answer.stdout).toContain(`from ${hosts.outside.ip}`);
    await apply(pod("second", n3.name, { ports }));
    const phase = await eventually(
      () => jsonpath("pod second", "{.status.phase} {.status.reason}"),
      (p) => p.startsWith("Failed"),
    );
    expect(phase).toBe("Failed NodePorts");
    await n1.kubectlOk(["delete", "pod", "published", "second"]);
  });

  test("a Pod keeps its address when its sandbox dies", async () => {
    const before = await ipOf("p2");
    const sandbox = (await n2.runOk("docker", ["ps", "-q", "--filter", "name=mk_POD_p2"])).trim();
    await n2.runOk("docker", ["kill", sandbox]);
    const restarts = () =>
      jsonpath("pod p2", "{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}");
    expect(await eventually(restarts, (r) => r === "1 true")).toBe("1 true");
    expect(await ipOf("p2")).toBe(before);
    expect((await inPod("p3", get(before))).stdout).toContain("from ");
  });

  test("a client library within a Pod finds the API by name, with its token and its CA, on every node", async () => {
    const code = `
        import { CoreV1Api, KubeConfig } from "client-node-1";
        const config = new KubeConfig();
        config.loadFromCluster();
        const pods = await config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace: "default" });
        console.log("sees " + pods.items.map((p) => p.metadata.name).filter((n) => /^p\\d$/.test(n)).sort().join(" "));`;
    const paths = [
      "/usr/bin/node",
      "/lib/x86_64-linux-gnu",
      "/usr/lib/x86_64-linux-gnu",
      "/lib64",
      `${root}/node_modules`,
    ];
    const volumes = paths.map((path, i) => ({ name: `v${i}`, hostPath: { path } }));
    const volumeMounts = paths.map((path, i) => ({
      name: `v${i}`,
      mountPath: path.endsWith("node_modules") ? "/app/node_modules" : path,
      readOnly: true,
    }));
    const command = ["/usr/bin/node", "--input-type=module", "-e", code];
    const env = [{ name: "KUBERNETES_SERVICE_HOST", value: "kubernetes.default.svc" }];
    await apply(
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        metadata: { name: "view", namespace: "default" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
        subjects: [{ kind: "ServiceAccount", name: "default", namespace: "default" }],
      },
      ...[n1, n3].map((h) =>
        pod(
          `client-${h.name}`,
          h.name,
          { command, env, workingDir: "/app", volumeMounts },
          { volumes, restartPolicy: "Never" },
        ),
      ),
    );
    for (const h of [n1, n3]) {
      const phase = () => jsonpath(`pod client-${h.name}`, "{.status.phase}");
      await eventually(phase, (p) => p === "Succeeded" || p === "Failed");
      expect(await n1.kubectlOk(["logs", `client-${h.name}`])).toBe("sees p1 p2 p3\n");
    }
    const addresses = await jsonpath("endpoints kubernetes", "{.subsets[*].addresses[*].ip}");
    expect(addresses).toBe(hosts.hosts.map((h) => h.ip).join(" "));
  });

  test("a firewall between two nodes is said: what is dropped, and where", async () => {
    const rule = ["INPUT", "-p", "udp", "--dport", "8472", "-j", "DROP"];
    await n3.runOk("iptables", ["-w", "-I", ...rule]);
    try {
      const events = () => n1.kubectlOk(["get", "events", "--field-selector", "reason=PeerUnreachable"]);
      // By the two on this side; the third says the same of them.
      const theirs = /node\/node-[12] +Pods of node node-3 are not reached \(vxlan\): .*firewall drop UDP port 8472/;
      expect(await eventually(events, (text) => theirs.test(text))).toMatch(theirs);
    } finally {
      await n3.runOk("iptables", ["-w", "-D", ...rule]);
    }
  });

  test("a process that is killed leaves the network as it is, and finds it again", async () => {
    const [before, ip] = [await traces(n3), await ipOf("p3")];
    await n3.kill9();
    expect((await inPod("p1", get(ip))).stdout).toContain("from ");
    await n3.up();
    await n1.kubectlOk(["wait", "--for=condition=Ready", "node/node-3", "--timeout=30s"]);
    expect(await traces(n3)).toBe(before);
    expect((await inPod("p1", get(ip))).stdout).toContain("from ");
  });

  test("of a node that goes nothing is left, on it and with the others", async () => {
    const share = await jsonpath("node node-2", "{.spec.podCIDR}");
    expect(await n1.runOk("ip", ["route"])).toContain(`${share} via ${n2.ip}`);
    expect(await n2.down()).toMatchObject({ code: 0 });
    expect(await traces(n2)).toBe("");
    await n1.kubectlOk(["delete", "node", "node-2"]);
    const routes = await eventually(
      () => n1.runOk("ip", ["route"]),
      (text) => !text.includes(share),
    );
    expect(routes).not.toContain(share);
    for (const host of [n1, n3]) {
      expect(await host.down()).toMatchObject({ code: 0 });
      expect(await traces(host)).toBe("");
    }
  });
});
