import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import type { ConfigMap, Lease, Pod, ReplicaSet } from "../../pkg/api/generated/types.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { leases } from "../../pkg/api/kinds/coordination/lease.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { encryptionFile, ready, TestCluster } from "../harness/cluster.ts";
import { EtcdServer, findInPath } from "../harness/etcd.ts";
import { PATIENCE_MS, runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** A cluster whose objects are in a real etcd, and what becomes of it when that etcd is killed. */
let etcd: EtcdServer;
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  etcd = await EtcdServer.start();
  cluster = await TestCluster.start({ store: etcd.store });
});
afterAll(async () => {
  await cluster?.remove();
  await etcd?.stop();
});

const create = (name: string) =>
  cluster.client.resource(pods, "default").create({
    metadata: { name, namespace: "default" },
    spec: {
      containers: [{ name: "main", image: "busybox:1.36", command: ["sleep", "3600"] }],
      terminationGracePeriodSeconds: 0,
    },
  });
const note = (name: string): DeepReadonly<ConfigMap> => ({
  metadata: { name, namespace: "default" },
  data: { text: name },
});
const notes = () => cluster.client.resource(configMaps, "default");
const etcdctl = (...args: string[]) =>
  runOk(findInPath("etcdctl"), [`--endpoints=${etcd.endpoint}`, ...args], {
    env: { ...process.env, ETCDCTL_API: "3" },
  });
const main = (pod: DeepReadonly<Pod>) => pod.status?.containerStatuses?.[0];

/** Resolves when so many Pods are ready on the node; rejects when the signal aborts before. */
async function untilReadyOn(on: TestCluster, node: string, count: number, signal: AbortSignal): Promise<void> {
  const there = new Set<string>();
  for await (const { type, object } of on.client
    .resource(pods, "default")
    .watch({ labelSelector: "app=kept" }, signal)) {
    if (type !== "DELETED" && object.spec?.nodeName === node && ready(object)) there.add(nameOf(object));
    else there.delete(nameOf(object));
    if (there.size === count) return;
  }
  throw new Error(`${there.size} of ${count} Pods are ready on ${node}`);
}

describe("--store etcd://", () => {
  test("a Pod runs; etcdctl reads its object as JSON where Kubernetes has it", async () => {
    await create("web");
    await cluster.untilPod("web", ready);
    const keys = (await etcdctl("get", "--prefix", "/registry", "--keys-only")).split("\n");
    expect(keys).toEqual(expect.arrayContaining(["/registry/pods/default/web", "/registry/namespaces/default"]));
    const stored = JSON.parse(await etcdctl("get", "/registry/pods/default/web", "--print-value-only")) as Pod;
    expect(stored).toMatchObject({ kind: "Pod", metadata: { name: "web" }, spec: { nodeName: "node-1" } });
  });

  test("kill -9 of etcd: calls end with a clear error, containers stay; it comes back and so does the cluster, by itself", async () => {
    const before = await cluster.untilPod("web", ready);
    const containers = (await cluster.containers("status=running")).toSorted();
    const acknowledged: string[] = [];
    // Killed amid the writes: whatever was answered before must be there afterwards.
    const writing = (async () => {
      for (let i = 0; ; i++) acknowledged.push(nameOf(await notes().create(note(`note-${i}`))));
    })().catch((error: unknown) => error);
    await cluster.client.resource(pods, "default").get("web");
    while (acknowledged.length < 20) await new Promise((resolve) => setImmediate(resolve));
    await etcd.kill();
    expect(await writing).toMatchObject({ code: 503, reason: "ServiceUnavailable" });

    const write = await cluster.kubectl(["create", "-f", "-"], {
      input: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "refused" } }),
    });
    expect(write.code).toBe(1);
    expect(write.stderr).toMatch(/the store cannot be reached: etcd/);
    const read = await cluster.cli(["get", "pods"]);
    expect(read.code === 0 ? read.stdout : read.stderr).toMatch(/^web\s+1\/1\s+Running|the store cannot be reached/m);
    expect((await cluster.containers("status=running")).toSorted()).toEqual(containers);

    await etcd.restart();
    await notes().create(note("after"));
    const names = (await notes().list()).items.map(nameOf);
    expect(names).toEqual(expect.arrayContaining([...acknowledged, "after"]));
    await create("second");
    await cluster.untilPod("second", ready);
    const after = await cluster.untilPod("web", ready);
    expect(main(after)).toMatchObject({ containerID: main(before)?.containerID, restartCount: 0 });
    expect((await cluster.containers("status=running")).toSorted()).toEqual(expect.arrayContaining(containers));
    expect(await cluster.cliOk(["get", "nodes", "--no-headers"])).toMatch(/^node-1\s+Ready\s/);
  });

  test("an outage of its own process, too: killed and started again on the same etcd it adopts what runs", async () => {
    const before = await cluster.untilPod("web", ready);
    await cluster.kill9();
    await cluster.up();
    const after = await cluster.untilPod("web", ready);
    expect(main(after)).toMatchObject({ containerID: main(before)?.containerID, restartCount: 0 });
  });

  test("two processes on one etcd: one leads; when it is killed the other takes over, its node's Pods too", async () => {
    const { store } = etcd;
    const encryption = readFileSync(encryptionFile(cluster.home), "utf8");
    const other = await TestCluster.start({ store, nodeName: "node-2", encryption });
    try {
      const labels = { app: "kept" };
      const containers = [{ name: "main", image: "busybox:1.36", command: ["sleep", "3600"] }];
      const template = { metadata: { labels }, spec: { containers, terminationGracePeriodSeconds: 0 } };
      const sets = other.client.resource<ReplicaSet>(replicaSets, "default");
      const lease = other.client.resource(leases, "kube-system");
      const spec = { replicas: 4, selector: { matchLabels: labels }, template };
      await sets.create({ metadata: { name: "kept", namespace: "default" }, spec });
      const running = (count: number) => (o: DeepReadonly<ReplicaSet>) => o.status?.readyReplicas === count;
      await other.until(sets, { name: "kept", done: running(4) });
      expect((await lease.get("kube-controller-manager")).spec?.holderIdentity).toMatch(/^node-1_/);

      await cluster.kill9();
      await sets.patch("kept", "application/merge-patch+json", { spec: { replicas: 5 } });
      await other.until(sets, { name: "kept", done: (o) => o.status?.replicas === 5 });
      for (const name of ["kube-controller-manager", "kube-scheduler"]) {
        const taken = (o: DeepReadonly<Lease>) => o.spec?.holderIdentity?.startsWith("node-2_") ?? false;
        expect((await other.until(lease, { name, done: taken })).spec?.leaseTransitions).toBeGreaterThan(0);
      }
      await untilReadyOn(other, "node-2", 5, AbortSignal.timeout(PATIENCE_MS));
      await sets.delete("kept");
    } finally {
      await other.remove();
      await cluster.up();
    }
  });
});
