/** Claims, volumes and the Pods that want them, on a whole simulated cluster; the directories are real. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { existsSync, mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
  StorageClass,
} from "../../pkg/api/generated/types.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { persistentVolumes } from "../../pkg/api/kinds/core/persistentvolume.ts";
import { persistentVolumeClaims } from "../../pkg/api/kinds/core/persistentvolumeclaim.ts";
import { storageClasses } from "../../pkg/api/kinds/storage/storageclass.ts";
import { condition } from "../../pkg/api/pod.ts";
import { isReason } from "../../pkg/api/status.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "mk-volumes-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let clusters = 0;
/** With nodes whose volumes are below directories of their own. */
async function start(nodes: number): Promise<SimulatedCluster> {
  const c = await SimulatedCluster.start({ nodes: 0 });
  const home = join(root, String(clusters++));
  for (let n = 1; n <= nodes; n++) c.addNode(`node-${n}`, { dataDir: join(home, `node-${n}`) });
  await c.untilNodesReady();
  return c;
}

const claimsOf = (c: SimulatedCluster) => c.client.resource<PersistentVolumeClaim>(persistentVolumeClaims, "default");
const volumesOf = (c: SimulatedCluster) => c.client.resource<PersistentVolume>(persistentVolumes);

async function claim(c: SimulatedCluster, name: string, spec: Partial<PersistentVolumeClaimSpec> = {}) {
  const resources = { requests: { storage: "1Gi" } };
  await claimsOf(c).create({ metadata: { name }, spec: { accessModes: ["ReadWriteOnce"], resources, ...spec } });
}

async function volume(c: SimulatedCluster, name: string, size: string, spec: Partial<PersistentVolumeSpec> = {}) {
  await volumesOf(c).create({
    metadata: { name },
    spec: {
      capacity: { storage: size },
      accessModes: ["ReadWriteOnce"],
      hostPath: { path: join(root, name) },
      ...spec,
    },
  });
}

const using = (...claims: readonly string[]) => ({
  volumes: claims.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
});
const mounts = (...names: readonly string[]) => [
  { volumeMounts: names.map((name) => ({ name, mountPath: `/${name}` })) },
];

async function present<T>(get: Promise<T>): Promise<T | undefined> {
  return get.catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
}
const claimNow = (c: SimulatedCluster, name: string) => present(claimsOf(c).get(name));
const volumeNow = (c: SimulatedCluster, name: string) => present(volumesOf(c).get(name));
const bound = (c: SimulatedCluster, name: string) => async () => (await claimNow(c, name))?.status?.phase === "Bound";
const phaseOf = (v: DeepReadonly<PersistentVolume> | undefined) => v?.status?.phase;
const whyPending = async (c: SimulatedCluster, pod: string) =>
  condition((await c.pod(pod))?.status?.conditions, "PodScheduled")?.message;

describe("the default class", () => {
  test("makes a volume on the node of the first Pod; the second Pod follows; it goes with its claim", async () => {
    await using c = await start(3);
    await claim(c, "data");
    await c.clock.advance(5_000);
    expect(await claimNow(c, "data")).toMatchObject({
      spec: { storageClassName: "standard" },
      status: { phase: "Pending" },
    });
    expect(await c.events("data")).toEqual([
      "WaitForFirstConsumer: waiting for first consumer to be created before binding",
    ]);
    await c.create("writer", mounts("data"), using("data"));
    await c.untilReady("writer");
    const node = (await c.pod("writer"))?.spec?.nodeName ?? "";
    const { spec } = (await claimNow(c, "data")) ?? {};
    const name = spec?.volumeName ?? "";
    const path = (await volumeNow(c, name))?.spec?.hostPath?.path ?? "";
    expect(path.endsWith(`/${node}/persistent-volumes/${name}`)).toBe(true);
    expect(existsSync(path)).toBe(true);

    await c.create("reader", mounts("data"), using("data"));
    await c.untilReady("reader");
    expect((await c.pod("reader"))?.spec?.nodeName).toBe(node);
    const uid = (await c.pod("reader"))?.metadata.uid ?? "";
    expect(readlinkSync(join(path, "..", "..", "pods", uid, "volumes", "data"))).toBe(path);

    await claimsOf(c).delete("data");
    await c.clock.advance(5_000);
    expect((await claimNow(c, "data"))?.metadata.deletionTimestamp).toBeDefined();
    await c.delete("writer", 0);
    await c.delete("reader", 0);
    await c.until(async () => (await volumeNow(c, name)) === undefined, 60_000);
    expect([existsSync(path), await claimNow(c, "data")]).toEqual([false, undefined]);
  });

  test("what is retained stays, and is never given to another claim", async () => {
    await using c = await start(1);
    await claim(c, "data");
    await c.create("writer", mounts("data"), using("data"));
    await c.untilReady("writer");
    const name = (await claimNow(c, "data"))?.spec?.volumeName ?? "";
    await volumesOf(c).patch(name, "application/merge-patch+json", {
      spec: { persistentVolumeReclaimPolicy: "Retain" },
    });
    await c.delete("writer", 0);
    await claimsOf(c).delete("data");
    await c.until(async () => phaseOf(await volumeNow(c, name)) === "Released");
    await claim(c, "data", { volumeName: name });
    await c.clock.advance(60_000);
    expect(existsSync((await volumeNow(c, name))?.spec?.hostPath?.path ?? "")).toBe(true);
    expect((await claimNow(c, "data"))?.status?.phase).toBe("Pending");
  });

  test("a claim grows", async () => {
    await using c = await start(1);
    await claim(c, "data");
    await c.create("writer", mounts("data"), using("data"));
    await c.untilReady("writer");
    await claimsOf(c).patch("data", "application/merge-patch+json", {
      spec: { resources: { requests: { storage: "5Gi" } } },
    });
    await c.until(async () => (await claimNow(c, "data"))?.status?.capacity?.["storage"] === "5Gi", 5_000);
    const name = (await claimNow(c, "data"))?.spec?.volumeName ?? "";
    expect((await volumeNow(c, name))?.spec?.capacity).toEqual({ storage: "5Gi" });
  });

  test("a volume of a Pod's own comes and goes with it", async () => {
    await using c = await start(1);
    const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
    const volumes = [{ name: "scratch", ephemeral: { volumeClaimTemplate: { spec } } }];
    await c.create("job", mounts("scratch"), { volumes });
    await c.untilReady("job");
    const name = (await claimNow(c, "job-scratch"))?.spec?.volumeName ?? "";
    await c.delete("job", 0);
    await c.until(async () => (await volumeNow(c, name)) === undefined, 60_000);
    expect(await claimNow(c, "job-scratch")).toBeUndefined();
  });

  test("on a node that is gone the volume is gone, too", async () => {
    await using c = await start(1);
    await claim(c, "data");
    await c.create("writer", mounts("data"), using("data"));
    await c.untilReady("writer");
    const name = (await claimNow(c, "data"))?.spec?.volumeName ?? "";
    await c.delete("writer", 0);
    await c.until(async () => (await c.pods()).length === 0);
    await c.node("node-1").kill();
    await claimsOf(c).delete("data");
    await c.until(async () => phaseOf(await volumeNow(c, name)) === "Released");
    await c.client.resource(nodes).delete("node-1");
    await c.until(async () => (await volumeNow(c, name)) === undefined);
    expect(await claimNow(c, "data")).toBeUndefined();
  });
});

describe("volumes made by hand", () => {
  const byHand = { storageClassName: "" };

  test("a claim gets the smallest that will do, and has it alone", async () => {
    await using c = await start(1);
    await volume(c, "big", "10Gi");
    await volume(c, "fits", "2Gi");
    await volume(c, "small", "500Mi");
    await claim(c, "one", byHand);
    await claim(c, "two", byHand);
    await claim(c, "three", byHand);
    await c.until(async () => (await bound(c, "one")()) && (await bound(c, "two")()));
    await c.clock.advance(10_000);
    const given = await Promise.all(["one", "two"].map(async (n) => (await claimNow(c, n))?.spec?.volumeName));
    expect(new Set(given)).toEqual(new Set(["big", "fits"]));
    expect((await claimNow(c, "three"))?.status?.phase).toBe("Pending");
    expect(await c.events("three")).toContain(
      "FailedBinding: no persistent volumes available for this claim and no storage class is set",
    );
    expect(phaseOf(await volumeNow(c, "small"))).toBe("Available");
    await volume(c, "late", "1Gi");
    await c.until(bound(c, "three"), 1_000);
  });

  test("one that is reserved waits for its claim; one whose policy nobody can follow has failed", async () => {
    await using c = await start(1);
    const claimRef = { namespace: "default", name: "mine" };
    await volume(c, "reserved", "5Gi", { claimRef, persistentVolumeReclaimPolicy: "Delete" });
    await claim(c, "other", byHand);
    await c.clock.advance(5_000);
    expect(phaseOf(await volumeNow(c, "reserved"))).toBe("Available");
    await claim(c, "mine", byHand);
    await c.until(bound(c, "mine"));
    expect((await claimNow(c, "mine"))?.spec?.volumeName).toBe("reserved");
    expect(await volumesOf(c).delete("reserved")).toBeUndefined();
    await claimsOf(c).delete("mine");
    await c.until(async () => (await volumeNow(c, "reserved")) === undefined);
    await volume(c, "again", "5Gi", { claimRef, persistentVolumeReclaimPolicy: "Delete" });
    await claim(c, "mine", byHand);
    await c.until(bound(c, "mine"));
    await claimsOf(c).delete("mine");
    await c.until(async () => phaseOf(await volumeNow(c, "again")) === "Failed");
    expect((await volumeNow(c, "again"))?.status?.message).toBe(
      'error getting deleter volume plugin for volume "again": no deletable volume plugin matched',
    );
  });

  test("a claim whose volume is gone is lost, and says so", async () => {
    await using c = await start(1);
    await volume(c, "v", "1Gi");
    await claim(c, "data", byHand);
    await c.until(bound(c, "data"));
    await volumesOf(c).delete("v");
    await c.clock.advance(1_000);
    expect(phaseOf(await volumeNow(c, "v"))).toBe("Bound");
    await volumesOf(c).patch("v", "application/merge-patch+json", { metadata: { finalizers: null } });
    await c.until(async () => (await claimNow(c, "data"))?.status?.phase === "Lost");
    await c.create("late", mounts("data"), using("data"));
    await c.clock.advance(1_000);
    expect(await whyPending(c, "late")).toBe(
      '0/1 nodes are available: persistentvolumeclaim "data" bound to non-existent persistentvolume "v". preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
    );
  });
});

describe("the scheduler", () => {
  const local = (node: string) => ({
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }] }],
      },
    },
  });
  const manual: StorageClass = {
    metadata: { name: "manual" },
    provisioner: "kubernetes.io/no-provisioner",
    volumeBindingMode: "WaitForFirstConsumer",
  };

  test("says why a Pod waits for its claims, and places it at once when they are there", async () => {
    await using c = await start(1);
    await c.create("web", mounts("data"), using("data"));
    await c.clock.advance(1_000);
    expect(await whyPending(c, "web")).toBe(
      '0/1 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
    );
    await claim(c, "data", { storageClassName: "" });
    await c.clock.advance(1_000);
    expect(await whyPending(c, "web")).toBe(
      "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    );
    await volume(c, "v", "1Gi", { hostPath: { path: join(root, "v"), type: "DirectoryOrCreate" } });
    await c.untilReady("web");
    expect((await claimNow(c, "data"))?.spec?.volumeName).toBe("v");
  });

  test("two Pods, two nodes with a volume each: each gets one; the third finds none", async () => {
    await using c = await start(3);
    await c.client.resource<StorageClass>(storageClasses).create(manual);
    const more = { storageClassName: "manual", hostPath: { path: join(root, "m"), type: "DirectoryOrCreate" } };
    for (const n of [1, 2]) await volume(c, `v${n}`, "1Gi", { ...more, ...local(`node-${n}`) });
    for (const n of [1, 2, 3]) await claim(c, `c${n}`, { storageClassName: "manual" });
    for (const n of [1, 2, 3]) await c.create(`p${n}`, mounts(`c${n}`), using(`c${n}`));
    await c.clock.advance(30_000);
    const placed = (await c.pods()).flatMap((p) => p.spec?.nodeName ?? []).toSorted();
    expect(placed).toEqual(["node-1", "node-2"]);
    const waiting: (string | undefined)[] = [];
    const found: unknown[] = [];
    for (const { metadata, spec } of await c.pods()) {
      if (!spec?.nodeName) waiting.push(await whyPending(c, metadata.name ?? ""));
      else found.push([spec.nodeName, (await claimNow(c, spec.volumes?.[0]?.name ?? ""))?.spec?.volumeName]);
    }
    expect(new Map(found as [string, string][])).toEqual(new Map([1, 2].map((n) => [`node-${n}`, `v${n}`])));
    expect(waiting).toEqual([
      "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    ]);
  });

  test("a bound volume keeps its Pod on its node; a claim of one Pod is one Pod's", async () => {
    await using c = await start(2);
    const more = { hostPath: { path: join(root, "b"), type: "DirectoryOrCreate" }, ...local("node-2") };
    await volume(c, "v", "1Gi", { accessModes: ["ReadWriteOncePod"], ...more });
    await claim(c, "data", { storageClassName: "", accessModes: ["ReadWriteOncePod"] });
    await c.create("first", mounts("data"), using("data"));
    await c.untilReady("first");
    expect((await c.pod("first"))?.spec?.nodeName).toBe("node-2");
    await c.create("second", mounts("data"), using("data"));
    await c.create("third", mounts("data"), { ...using("data"), nodeSelector: { "kubernetes.io/hostname": "node-1" } });
    await c.clock.advance(1_000);
    expect(await whyPending(c, "second")).toContain("ReadWriteOncePod access mode");
    await c.delete("first", 0);
    await c.untilReady("second");
    await c.clock.advance(15_000);
    await c.delete("second", 0);
    await c.clock.advance(15_000);
    expect(await whyPending(c, "third")).toContain(
      "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, " +
        "1 node(s) didn't match Pod's node affinity/selector. " +
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    );
  });
});
