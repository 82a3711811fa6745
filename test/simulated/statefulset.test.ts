/** StatefulSets in a whole cluster: their order, their names, their storage and their roll-outs. */
import { describe, expect, test } from "@jest/globals";
import type { PersistentVolumeClaim, Pod, StatefulSet, StatefulSetSpec } from "../../pkg/api/generated/types.ts";
import { controllerRevisions } from "../../pkg/api/kinds/apps/controllerrevision.ts";
import { statefulSets } from "../../pkg/api/kinds/apps/statefulset.ts";
import { persistentVolumeClaims } from "../../pkg/api/kinds/core/persistentvolumeclaim.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import { seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";
import { testSeeds } from "../harness/seeds.ts";

const labels = { app: "web" };
const template = (env: string, image = "app") => ({
  metadata: { labels },
  spec: {
    containers: [{ name: "app", image, imagePullPolicy: "IfNotPresent", env: [{ name: "V", value: env }] }],
    terminationGracePeriodSeconds: 1,
  },
});
const statefulSet = (replicas: number, more: Partial<StatefulSetSpec> = {}): StatefulSet => ({
  metadata: { name: "web" },
  spec: { replicas, serviceName: "web", selector: { matchLabels: labels }, template: template("1"), ...more },
});

const setsOf = (c: SimulatedCluster) => c.client.resource<StatefulSet>(statefulSets, "default");
const podsOf = (c: SimulatedCluster) => c.client.resource<Pod>(pods, "default");
const claimsOf = (c: SimulatedCluster) => c.client.resource<PersistentVolumeClaim>(persistentVolumeClaims, "default");
const version = (pod: DeepReadonly<Pod>) => pod.spec?.containers[0]?.env?.[0]?.value ?? "";
const patch = (c: SimulatedCluster, spec: object) => setsOf(c).patch("web", "application/merge-patch+json", { spec });
/** `web-0:1 web-1:2`: who is ready, and of which version. */
const shown = async (c: SimulatedCluster) =>
  (await c.pods())
    .filter(isReady)
    .map((p) => `${nameOf(p)}:${version(p)}`)
    .toSorted()
    .join(" ");
const until = (c: SimulatedCluster, expected: string) =>
  c.until(async () => (await shown(c)) === expected, 300_000, 50);

/** In which order Pods were made and asked to go, as `+web-0`, `-web-0`, until stopped. */
function watchPods(c: SimulatedCluster): { readonly seen: string[]; stop(): Promise<void> } {
  const stop = new AbortController();
  const [seen, leaving] = [[] as string[], new Set<string>()];
  const run = async () => {
    for await (const { type, object } of podsOf(c).watch({}, stop.signal)) {
      const { name = "", uid = "", deletionTimestamp } = object.metadata;
      if (type === "ADDED") seen.push(`+${name}`);
      if (deletionTimestamp !== undefined && !leaving.has(uid)) seen.push(`-${name}`);
      if (deletionTimestamp !== undefined) leaving.add(uid);
    }
  };
  const done = run().catch(() => {});
  return {
    seen,
    async stop() {
      stop.abort();
      await done;
    },
  };
}

describe("a StatefulSet", () => {
  test("comes up in order, goes down in reverse, and is never two of one name", async () => {
    await using c = await SimulatedCluster.start({ nodes: 2 });
    const watched = watchPods(c);
    await setsOf(c).create(statefulSet(3));
    await until(c, "web-0:1 web-1:1 web-2:1");
    const [first] = (await c.pods()).filter((p) => nameOf(p) === "web-0");
    expect(first?.spec).toMatchObject({ hostname: "web-0", subdomain: "web" });
    expect(first?.metadata.labels).toMatchObject({
      "statefulset.kubernetes.io/pod-name": "web-0",
      "apps.kubernetes.io/pod-index": "0",
    });
    await patch(c, { replicas: 1 });
    await until(c, "web-0:1");
    await c.until(async () => (await c.pods()).length === 1);
    expect(watched.seen).toEqual(["+web-0", "+web-1", "+web-2", "-web-2", "-web-1"]);
    await watched.stop();
    const set = await setsOf(c).get("web");
    expect(set.status).toMatchObject({ replicas: 1, readyReplicas: 1, availableReplicas: 1, observedGeneration: 2 });
    expect(await c.events("web")).toEqual([
      "SuccessfulCreate: create Pod web-0 in StatefulSet web successful",
      "SuccessfulCreate: create Pod web-1 in StatefulSet web successful",
      "SuccessfulCreate: create Pod web-2 in StatefulSet web successful",
      "SuccessfulDelete: delete Pod web-2 in StatefulSet web successful",
      "SuccessfulDelete: delete Pod web-1 in StatefulSet web successful",
    ]);
  });

  test("in parallel comes up at once", async () => {
    await using c = await SimulatedCluster.start({ nodes: 2 });
    await setsOf(c).create(
      statefulSet(4, {
        podManagementPolicy: "Parallel",
        ordinals: { start: 3 },
        template: template("1", "missing:1"),
      }),
    );
    await c.until(async () => (await c.pods()).length === 4);
    expect((await c.pods()).map(nameOf).toSorted()).toEqual(["web-3", "web-4", "web-5", "web-6"]);
    expect((await c.pods()).some(isReady)).toBe(false);
  });

  test("who has ended, or is gone, comes back under the same name; labels changed by hand are mended", async () => {
    await using c = await SimulatedCluster.start({ nodes: 1 });
    await setsOf(c).create(statefulSet(2));
    await until(c, "web-0:1 web-1:1");
    const uids = async () => (await c.pods()).map((p) => p.metadata.uid);
    const before = await uids();
    await podsOf(c).patch(
      "web-0",
      "application/merge-patch+json",
      { status: { phase: "Failed" } },
      { subresource: "status" },
    );
    await c.delete("web-1", 0);
    await c.until(async () => (await uids()).every((uid) => !before.includes(uid)), 120_000);
    await until(c, "web-0:1 web-1:1");
    expect(await c.pods()).toHaveLength(2);
    const change = { metadata: { labels: { "apps.kubernetes.io/pod-index": "7" } } };
    await podsOf(c).patch("web-1", "application/merge-patch+json", change);
    await c.until(async () => (await c.pod("web-1"))?.metadata.labels?.["apps.kubernetes.io/pod-index"] === "1");
  });
});

test("a replica on a node that is silent has no second until it is known to be gone", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  await setsOf(c).create(statefulSet(1));
  await until(c, "web-0:1");
  const before = await c.pod("web-0");
  await c.node(before?.spec?.nodeName).kill();
  await c.delete("web-0");
  await c.clock.advance(600_000);
  const all = await c.pods();
  expect(all.map((p) => p.metadata.uid)).toEqual([before?.metadata.uid]);
  expect(all[0]?.metadata.deletionTimestamp).toBeDefined();
  await c.delete("web-0", 0);
  await c.until(async () => ((await c.pod("web-0"))?.metadata.uid ?? before?.metadata.uid) !== before?.metadata.uid);
});

describe("what a StatefulSet finds", () => {
  const revisionsOf = (c: SimulatedCluster) => c.client.resource(controllerRevisions, "default");

  test("that was left by one before it is taken on as it is", async () => {
    await using c = await SimulatedCluster.start({ nodes: 1 });
    const identities = async () =>
      [...(await c.pods()), ...(await revisionsOf(c).list()).items].map((o) => o.metadata.uid);
    await setsOf(c).create(statefulSet(2));
    await until(c, "web-0:1 web-1:1");
    const before = await identities();
    await setsOf(c).delete("web", { propagationPolicy: "Orphan" });
    await c.until(async () => (await c.pods()).every((p) => p.metadata.ownerReferences === undefined));
    const { metadata } = await setsOf(c).create(statefulSet(2));
    const owner = async () => (await c.pods()).map((p) => p.metadata.ownerReferences?.[0]?.uid);
    await c.until(async () => (await owner()).every((uid) => uid === metadata.uid));
    await c.clock.advance(60_000);
    expect(await identities()).toEqual(before);
    expect((await setsOf(c).get("web")).status).toMatchObject({ updatedReplicas: 2, readyReplicas: 2 });
  });

  test("under the name it would give a revision makes it take another name", async () => {
    await using c = await SimulatedCluster.start({ nodes: 1 });
    await setsOf(c).create(statefulSet(1));
    await until(c, "web-0:1");
    const { updateRevision = "" } = (await setsOf(c).get("web")).status ?? {};
    await setsOf(c).delete("web", { propagationPolicy: "Background" });
    await c.until(
      async () => (await c.pods()).length === 0 && (await revisionsOf(c).list()).items.length === 0,
      120_000,
    );
    await revisionsOf(c).create({ metadata: { name: updateRevision }, data: { not: "ours" }, revision: 1 });
    await setsOf(c).create(statefulSet(1));
    await until(c, "web-0:1");
    const { status } = await setsOf(c).get("web");
    expect(status?.collisionCount).toBe(1);
    expect(status?.updateRevision).not.toBe(updateRevision);
    expect((await revisionsOf(c).get(updateRevision)).metadata.ownerReferences).toBeUndefined();
  });
});

describe("a roll-out of a StatefulSet", () => {
  test("goes from the last to the partition, then on to the first; its history can be gone back to", async () => {
    await using c = await SimulatedCluster.start({ nodes: 2 });
    const updateStrategy = (partition: number) => ({ type: "RollingUpdate", rollingUpdate: { partition } });
    await setsOf(c).create(statefulSet(3, { updateStrategy: updateStrategy(2) }));
    await until(c, "web-0:1 web-1:1 web-2:1");
    const { currentRevision = "" } = (await setsOf(c).get("web")).status ?? {};
    await patch(c, { template: template("2") });
    await until(c, "web-0:1 web-1:1 web-2:2");
    await c.clock.advance(60_000);
    expect((await setsOf(c).get("web")).status).toMatchObject({
      currentReplicas: 2,
      updatedReplicas: 1,
      currentRevision,
    });
    const watched = watchPods(c);
    await patch(c, { updateStrategy: updateStrategy(0) });
    await until(c, "web-0:2 web-1:2 web-2:2");
    expect(watched.seen.slice(3)).toEqual(["-web-1", "+web-1", "-web-0", "+web-0"]);
    await watched.stop();
    await c.until(async () => (await setsOf(c).get("web")).status?.currentRevision !== currentRevision);

    const revisions = c.client.resource(controllerRevisions, "default");
    const old = await revisions.get(currentRevision);
    // What `kubectl rollout undo` sends.
    await setsOf(c).patch("web", "application/strategic-merge-patch+json", old.data);
    await until(c, "web-0:1 web-1:1 web-2:1");
    const { items } = await revisions.list();
    expect(items.map((r) => r.revision).toSorted((a, b) => a - b)).toEqual([2, 3]);
    expect((await revisions.get(currentRevision)).revision).toBe(3);
  });

  test("that can never succeed is undone by rolling back, without anybody's help", async () => {
    await using c = await SimulatedCluster.start({ nodes: 1 });
    await setsOf(c).create(statefulSet(2));
    await until(c, "web-0:1 web-1:1");
    await patch(c, { template: template("2", "missing:1") });
    await c.until(async () => version((await c.pod("web-1")) ?? { metadata: {} }) === "2");
    await c.clock.advance(60_000);
    expect(await shown(c)).toBe("web-0:1");
    await patch(c, { template: template("1") });
    await until(c, "web-0:1 web-1:1");
  });

  test("keeps so many old revisions as asked for", async () => {
    await using c = await SimulatedCluster.start({ nodes: 1 });
    await setsOf(c).create(statefulSet(1, { revisionHistoryLimit: 2 }));
    for (const v of ["1", "2", "3", "4", "5"]) {
      await patch(c, { template: template(v) });
      await until(c, `web-0:${v}`);
    }
    const numbers = async () =>
      (await c.client.resource(controllerRevisions, "default").list()).items
        .map((r) => r.revision)
        .toSorted((a, b) => a - b);
    await c.until(async () => (await numbers()).length === 3);
    expect(await numbers()).toEqual([3, 4, 5]);
  });

  test("waits for others to delete when it is told so", async () => {
    await using c = await SimulatedCluster.start({ nodes: 1 });
    await setsOf(c).create(statefulSet(2, { updateStrategy: { type: "OnDelete" } }));
    await until(c, "web-0:1 web-1:1");
    await patch(c, { template: template("2") });
    await c.clock.advance(60_000);
    expect(await shown(c)).toBe("web-0:1 web-1:1");
    await c.delete("web-0");
    await until(c, "web-0:2 web-1:1");
  });
});

describe("the claims of a StatefulSet", () => {
  const volumeClaimTemplates = [
    {
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    },
  ];
  const names = async (c: SimulatedCluster) => (await claimsOf(c).list()).items.map((p) => nameOf(p)).toSorted();

  test("are there before their Pods, and stay when those go", async () => {
    await using c = await SimulatedCluster.start({ nodes: 1 });
    await setsOf(c).create(statefulSet(2, { podManagementPolicy: "Parallel", volumeClaimTemplates }));
    await c.until(async () => (await c.pods()).length === 2);
    expect(await names(c)).toEqual(["data-web-0", "data-web-1"]);
    expect((await c.pod("web-1"))?.spec?.volumes?.[0]).toEqual({
      name: "data",
      persistentVolumeClaim: { claimName: "data-web-1" },
    });
    await patch(c, { replicas: 0 });
    await c.until(async () => (await c.pods()).length === 0, 120_000);
    await setsOf(c).delete("web");
    await c.clock.advance(60_000);
    expect(await names(c)).toEqual(["data-web-0", "data-web-1"]);
  });

  test("go with the replica, or with the set, as the policy says", async () => {
    await using c = await SimulatedCluster.start({ nodes: 1 });
    const persistentVolumeClaimRetentionPolicy = { whenScaled: "Delete", whenDeleted: "Delete" };
    const more = { podManagementPolicy: "Parallel", volumeClaimTemplates, persistentVolumeClaimRetentionPolicy };
    await setsOf(c).create(statefulSet(3, more));
    await c.until(async () => (await c.pods()).length === 3);
    await patch(c, { replicas: 2 });
    await c.until(async () => (await c.pods()).length === 2, 120_000);
    const left = async () =>
      (await claimsOf(c).list()).items.filter((p) => p.metadata.deletionTimestamp === undefined).map(nameOf);
    await c.until(async () => (await left()).toSorted().join() === "data-web-0,data-web-1", 120_000);
    await setsOf(c).delete("web", { propagationPolicy: "Background" });
    await c.until(async () => (await left()).length === 0, 120_000);
    expect(await c.events("web")).toContain(
      "SuccessfulCreate: create Claim data-web-2 Pod web-2 in StatefulSet web success",
    );
  });
});

testSeeds("whatever fails, it is as it was asked to be, in the end", 5, async (seed) => {
  await using c = await SimulatedCluster.start({ nodes: 2, seed });
  const random = seededRandom(seed);
  const fails = () => {
    throw new ApiError("ServiceUnavailable", "away");
  };
  c.wire.fault = (call) => {
    if (random() > (call.verb === "watch" ? 0.02 : 0.1)) return;
    if (random() < 0.3) return fails;
    if (random() < 0.3 && call.verb === "update")
      throw conflict({ group: call.group, resource: call.resource }, call.name ?? "");
    fails();
  };
  const podManagementPolicy = random() < 0.5 ? "Parallel" : "OrderedReady";
  await setsOf(c).create(statefulSet(3, { podManagementPolicy }));
  for (let round = 0; round < 12; round++) {
    const all = await c.pods();
    expect(new Set(all.map(nameOf)).size).toBe(all.length);
    const victim = all[Math.floor(random() * all.length)];
    if (victim && random() < 0.5) await c.delete(nameOf(victim), 0);
    else await patch(c, { replicas: Math.floor(random() * 5), template: template(String(Math.floor(random() * 3))) });
    await c.clock.advance(random() * 20_000);
  }
  c.wire.fault = () => {};
  await patch(c, { replicas: 3, template: template("last") });
  await until(c, "web-0:last web-1:last web-2:last");
  await c.until(async () => {
    const { status } = await setsOf(c).get("web");
    return status?.currentRevision === status?.updateRevision && status?.updatedReplicas === 3;
  }, 300_000);
  expect(await c.pods()).toHaveLength(3);
});
