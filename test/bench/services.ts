/** What Services cost: on the way of a packet, and from a change of the API to the kernel's tables. */
import { connect } from "node:net";
import { join } from "node:path";
import { services } from "../../pkg/api/kinds/core/service.ts";
import { root, TestCluster } from "../harness/cluster.ts";
import { TestHosts } from "../harness/hosts.ts";
import { runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";
import { median, quantile, Report, round } from "./report.ts";

const COUNTS = [10, 1_000, 5_000];
const ROUNDS = 60;
const REQUESTS = 2_000;
const STREAM_MS = 2_000;
/** Found by its address: the program may run in another folder. */
const tsx = (file: string) => ["--import", import.meta.resolve("tsx"), join(root, "test/bench", file)];

export async function benchServices(): Promise<Report> {
  const report = new Report("Services", "Docker's bridge");
  for (const count of COUNTS) await ruleUpdates(report, count);
  await balanced(report);
  await path(report);
  return report;
}

async function ruleUpdates(report: Report, count: number): Promise<void> {
  const args = ["--net", process.execPath, ...tsx("services-rules.ts"), String(count)];
  const out = await runOk("unshare", args, { cwd: root, deadline: 120_000 });
  const { full, changes } = JSON.parse(out) as { full: number; changes: number[] };
  const ms = (x: number) => `${round(x, 1)} ms`;
  report.row({
    what: `an endpoint of one of ${count} Services changes, in the kernel: p50 / p99`,
    ours: `${ms(median(changes))} / ${ms(quantile(changes, 0.99))}`,
    ...(count === 5_000 && { aim: "< 50 ms" }),
  });
  report.row({ what: `all rules of ${count} Services at once`, ours: ms(full) });
}

/** A page, and `/cgi-bin/zero`, which has no end. */
const SERVER = String.raw`mkdir -p /www/cgi-bin && cd /www && echo hello >index.html && printf '#!/bin/sh\nprintf "Content-type: text/plain\\r\\n\\r\\n"\nexec cat /dev/zero\n' >cgi-bin/zero && chmod +x cgi-bin/zero && exec httpd -f -p 8080 -h /www`;
const pod = (name: string, nodeName: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: "bench" } },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "c", image: "busybox:1.36", command: ["sh", "-c", SERVER] }],
  },
});
const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "bench" },
  spec: { selector: { app: "bench" }, ports: [{ port: 80, targetPort: 8080 }] },
};

async function balanced(report: Report): Promise<void> {
  const { sandbox, busybox } = await ensureTestImages();
  const hosts = await TestHosts.start({ links: [2], images: [sandbox, busybox] });
  try {
    const [first, second] = hosts.hosts;
    if (!first || !second) throw new Error("two hosts are needed");
    const list = { apiVersion: "v1", kind: "List", items: [pod("bench", second.name), service] };
    await first.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify(list) });
    await first.kubectlOk(["wait", "pod/bench", "--for=condition=Ready", "--timeout=60s"], { deadline: 70_000 });
    const address = await first.kubectlOk(["get", "service", "bench", "-o", "jsonpath={.spec.clusterIP}"]);
    const args = [...tsx("services-balanced.ts"), join(first.home, "kubeconfig"), "bench", address, String(ROUNDS)];
    const took = JSON.parse(await first.runOk(process.execPath, args, { cwd: root, deadline: 120_000 })) as number[];
    report.row({
      what: "a Pod becomes an endpoint → first packet balanced to it on another node: p50 / p99",
      ours: `${round(median(took), 1)} / ${round(quantile(took, 0.99), 1)} ms`,
      aim: "p99 < 100 ms",
    });
  } finally {
    await hosts.remove();
  }
}

async function path(report: Report): Promise<void> {
  await ensureTestImages();
  const cluster = await TestCluster.start();
  const plain = (await runOk("docker", ["run", "-d", "--rm", "busybox:1.36", "sh", "-c", SERVER])).trim();
  try {
    const list = { apiVersion: "v1", kind: "List", items: [pod("bench", cluster.nodeName), service] };
    await cluster.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify(list) });
    await cluster.kubectlOk(["wait", "pod/bench", "--for=condition=Ready", "--timeout=60s"], { deadline: 70_000 });
    const clusterIp = (await cluster.client.resource(services, "default").get("bench")).spec?.clusterIP ?? "";
    const format = "{{.NetworkSettings.IPAddress}}";
    const bridge = (await runOk("docker", ["inspect", "-f", format, plain])).trim();
    await until(() => exchange(clusterIp, 80));
    // In turns, so that what else the machine does falls on both.
    const [ours, peers]: [number[], number[]] = [[], []];
    for (let i = 0; i < REQUESTS; i++) {
      ours.push(await exchange(clusterIp, 80));
      peers.push(await exchange(bridge, 8080));
    }
    report.row({
      what: "a connection and its answer through a ClusterIP: p50 / p99",
      ours: `${round(median(ours), 2)} / ${round(quantile(ours, 0.99), 2)} ms`,
      peer: `${round(median(peers), 2)} / ${round(quantile(peers, 0.99), 2)} ms`,
      ratio: `${round(median(peers) / median(ours), 2)} ×`,
      aim: "≥ 0.95 ×",
    });
    const streams: [number[], number[]] = [[], []];
    for (let i = 0; i < 3; i++) {
      streams[0].push(await stream(clusterIp, 80));
      streams[1].push(await stream(bridge, 8080));
    }
    const [through, beside] = streams.map(median);
    report.row({
      what: "a stream through a ClusterIP",
      ours: `${round((through ?? 0) / 1e6)} MB/s`,
      peer: `${round((beside ?? 0) / 1e6)} MB/s`,
      ratio: `${round((through ?? 0) / (beside ?? 1), 2)} ×`,
      aim: "≥ 0.95 ×",
    });
  } finally {
    await runOk("docker", ["rm", "-f", plain]);
    await cluster.remove();
  }
}

/** Milliseconds until all of the answer is there. */
function exchange(host: string, port: number): Promise<number> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    socket.write("GET / HTTP/1.0\r\n\r\n");
    socket.on("data", () => {});
    socket.once("end", () => {
      socket.destroy();
      resolve(performance.now() - started);
    });
    socket.once("error", reject);
  });
}

/** Bytes a second. */
function stream(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    socket.write("GET /cgi-bin/zero HTTP/1.0\r\n\r\n");
    let [bytes, started] = [0, 0];
    socket.once("error", reject);
    socket.on("data", (chunk: Buffer) => {
      started ||= performance.now();
      bytes += chunk.length;
      const ms = performance.now() - started;
      if (ms < STREAM_MS) return;
      socket.destroy();
      resolve((bytes * 1000) / ms);
    });
  });
}

async function until(answers: () => Promise<unknown>): Promise<void> {
  const end = performance.now() + 30_000;
  while (performance.now() < end)
    if (
      await answers().then(
        () => true,
        () => false,
      )
    )
      return;
  throw new Error("the Service does not answer");
}
