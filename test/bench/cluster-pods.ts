/** Pods of the benchmarked cluster: made, waited for and deleted, as a client sees it. */
import { readFileSync } from "node:fs";
import type { Container, Pod } from "../../pkg/api/generated/types.ts";
import { pods as podResource } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import type { TestCluster } from "../harness/cluster.ts";
import { runOk } from "../harness/process.ts";
import { BUSYBOX_IMAGE } from "../images/images.ts";

const DEADLINE_MS = 240_000;
/** USER_HZ of every Linux. */
const TICKS_PER_SECOND = 100;

export const running = (pod: DeepReadonly<Pod>): boolean => pod.status?.phase === "Running";

const podOf = (name: string, container: Partial<Container>): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default", labels: { bench: "true" } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "app", image: BUSYBOX_IMAGE, command: ["sleep", "3600"], ...container }],
  },
});

export const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

/** Milliseconds from the request that creates the Pods until a watch has shown each of them Running. */
export async function untilRunning(
  cluster: TestCluster,
  wanted: readonly string[],
  container: Partial<Container> = {},
): Promise<number> {
  const client = cluster.client.resource(podResource, "default");
  const stop = new AbortController();
  const waiting = new Set(wanted);
  const { metadata } = await client.list({ limit: 1 });
  const events = client.watch({ resourceVersion: metadata.resourceVersion ?? "", labelSelector: "bench" }, stop.signal);
  const seen = (async () => {
    for await (const e of events) {
      if (e.type !== "BOOKMARK" && running(e.object)) waiting.delete(nameOf(e.object));
      if (waiting.size === 0) return stop.abort();
    }
  })();
  const start = performance.now();
  await Promise.all(wanted.map((name) => client.create(podOf(name, container))));
  await Promise.race([seen, deadline()]);
  return performance.now() - start;
}

function deadline(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not done within ${DEADLINE_MS / 1000} s`)), DEADLINE_MS).unref();
  });
}

/** Milliseconds until none is left. */
export async function deletePods(cluster: TestCluster): Promise<number> {
  const start = performance.now();
  await cluster.cliOk(["delete", "pods", "-l", "bench", "--wait", "--grace-period=0", "--force"], {
    deadline: DEADLINE_MS,
  });
  return performance.now() - start;
}

/** Milliseconds from `docker kill` until the Pod's container runs again. */
export async function heal(cluster: TestCluster, name: string): Promise<number> {
  await untilRunning(cluster, [name]);
  const pod = await cluster.untilPod(name, running);
  const id = pod.status?.containerStatuses?.[0]?.containerID?.replace("docker://", "") ?? "";
  const back = cluster.untilPod(name, (p) => {
    const [c] = p.status?.containerStatuses ?? [];
    return (c?.restartCount ?? 0) > 0 && running(p) && c?.state?.running !== undefined;
  });
  const start = performance.now();
  await runOk("docker", ["kill", id]);
  await back;
  return performance.now() - start;
}

/** CPU seconds that a process has used, its own threads included. */
export function cpuSeconds(pid: number): number {
  const [utime, stime] = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return ((utime ?? 0) + (stime ?? 0)) / TICKS_PER_SECOND;
}

/** Bytes of memory that a process holds. */
export function memoryOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** Per cent of one core that the cluster's process uses in `seconds` of which nobody asks anything of it. */
export async function cpuPercent(cluster: TestCluster, seconds: number): Promise<number> {
  const before = cpuSeconds(cluster.pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return ((cpuSeconds(cluster.pid) - before) / seconds) * 100;
}
