/** Deployments on a whole simulated cluster. */
import { expect, test } from "@jest/globals";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { condition } from "../../pkg/api/pod.ts";
import { SimulatedCluster } from "../harness/simulated.ts";
import { deployment, revision, sizes, template, Web } from "../harness/web-deployment.ts";

test("ten replicas are rolled out, back and further, never too many and never too few", async () => {
  await using c = await SimulatedCluster.start({ nodes: 3 });
  const web = new Web(c);
  const strategy = { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } };
  await web.create(deployment(10, { strategy, minReadySeconds: 5 }));
  expect((await web.progressing())?.reason).toBe("NewReplicaSetAvailable");
  let [most, fewest] = [0, 10];
  const watch = async () => {
    const active = (await c.pods()).filter((p) => p.metadata.deletionTimestamp === undefined);
    most = Math.max(most, active.length);
    fewest = Math.min(fewest, (await web.get()).status?.availableReplicas ?? 0);
    return (await web.sets()).every((rs) => rs.spec?.replicas === (revision(rs) === 2 ? 10 : 0));
  };
  await web.change({ template: template("2") }, { annotations: { "kubernetes.io/change-cause": "version 2" } });
  await c.until(async () => (await web.sets()).length === 2);
  await c.until(watch, 300_000);
  await web.untilDone();
  expect([most, fewest]).toEqual([13, 8]);
  const sets = await web.sets();
  expect(sizes(sets)).toEqual([
    [1, 0],
    [2, 10],
  ]);
  expect(sets[1]?.metadata.annotations?.["kubernetes.io/change-cause"]).toBe("version 2");
  expect(revision(await web.get())).toBe(2);

  // What `kubectl rollout undo` does.
  await web.change({ template: { ...sets[0]?.spec?.template, metadata: template("1").metadata } });
  await c.until(async () => revision(await web.get()) === 3);
  await web.untilDone();
  const back = await web.sets();
  expect(sizes(back)).toEqual([
    [2, 0],
    [3, 10],
  ]);
  expect(back[1]?.metadata).toMatchObject({
    name: sets[0]?.metadata.name,
    annotations: { "deployment.kubernetes.io/revision-history": "1" },
  });
  const told = await c.events("web");
  const [old = "", next = ""] = sets.map((rs) => rs.metadata.name);
  expect(told).toContain(`ScalingReplicaSet: Scaled up replica set ${old} from 0 to 10`);
  expect(told).toContain(`ScalingReplicaSet: Scaled up replica set ${next} from 0 to 3`);
  expect(told).toContain(`ScalingReplicaSet: Scaled down replica set ${old} from 10 to 8`);
});

test("an image that cannot be had: the old Pods serve on, the roll-out is given up as too late, an undo mends it", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  const web = new Web(c);
  await web.create(deployment(4, { progressDeadlineSeconds: 60 }));
  await web.change({ template: template("2", "missing:1") });
  await c.until(async () => (await web.progressing())?.reason === "ProgressDeadlineExceeded", 120_000, 1_000);
  const { status } = await web.get();
  expect(status).toMatchObject({ availableReplicas: 3, updatedReplicas: 2, unavailableReplicas: 2 });
  expect(condition(status?.conditions, "Available")?.status).toBe("True");
  expect(await web.progressing()).toMatchObject({
    status: "False",
    message: expect.stringMatching(/^ReplicaSet "web-/),
  });
  await web.change({ template: template("1") });
  await web.untilDone();
  expect(await web.progressing()).toMatchObject({ status: "True", reason: "NewReplicaSetAvailable" });
  expect(sizes(await web.sets())).toEqual([
    [2, 0],
    [3, 4],
  ]);
});

test("paused: templates wait, sizes do not; resumed, all changes are one roll-out", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  const web = new Web(c);
  await web.create(deployment(2));
  await web.change({ paused: true });
  await web.change({ template: template("2") });
  await web.change({ template: template("3"), replicas: 4 });
  await c.until(async () => (await web.get()).status?.availableReplicas === 4);
  await c.clock.advance(60_000);
  expect(sizes(await web.sets())).toEqual([[1, 4]]);
  expect(await web.progressing()).toMatchObject({ status: "Unknown", reason: "DeploymentPaused" });
  await web.change({ paused: null });
  await web.untilDone();
  await c.until(async () => revision(await web.get()) === 2);
  expect(sizes(await web.sets())).toEqual([
    [1, 0],
    [2, 4],
  ]);
});

test("Recreate: no new Pod while an old one is left", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  const web = new Web(c);
  await web.create(deployment(3, { strategy: { type: "Recreate" } }));
  const versions = async () => new Set((await c.pods()).map((p) => p.metadata.annotations?.["version"]));
  await web.change({ template: template("2") });
  const seen: string[] = [];
  await c.until(
    async () => {
      seen.push([...(await versions())].join("+"));
      return (await web.get()).status?.updatedReplicas === 3 && seen.at(-1) === "2";
    },
    120_000,
    20,
  );
  expect(seen).not.toContain("1+2");
  expect(seen).not.toContain("2+1");
  await web.untilDone();
});

test("history is as long as wished; an orphaned ReplicaSet is taken on again; all go with the Deployment", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  const web = new Web(c);
  await web.create(deployment(1, { revisionHistoryLimit: 1 }));
  for (const version of ["2", "3", "4"]) {
    await web.change({ template: template(version) });
    await c.until(async () => revision(await web.get()) === Number(version));
    await web.untilDone();
  }
  await c.until(async () => (await web.sets()).length === 2);
  const api = c.client.resource(deployments, "default");
  const sets = await web.sets();
  expect(sizes(sets)).toEqual([
    [3, 0],
    [4, 1],
  ]);
  const uids = (await c.pods()).map((p) => p.metadata.uid);
  await api.delete("web", { propagationPolicy: "Orphan" });
  await c.until(async () => (await web.sets()).every((rs) => rs.metadata.ownerReferences === undefined));
  await web.create(deployment(1, { revisionHistoryLimit: 1, template: template("4") }));
  expect((await c.pods()).map((p) => p.metadata.uid)).toEqual(uids);
  expect((await web.sets()).map((rs) => rs.metadata.ownerReferences?.[0]?.kind)).toEqual(["Deployment", "Deployment"]);
  await api.delete("web");
  await c.until(async () => (await web.sets()).length === 0 && (await c.pods()).length === 0, 120_000);
});

test("a name that is taken by a stranger is given up for another one", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  const web = new Web(c);
  await web.create(deployment(1));
  const [mine] = await web.sets();
  const name = mine?.metadata.name ?? "";
  const api = c.client.resource(deployments, "default");
  await api.delete("web");
  await c.until(async () => (await web.sets()).length === 0 && (await c.pods()).length === 0, 120_000);
  const other = { matchLabels: { app: "other" } };
  await c.client.resource(replicaSets, "default").create({
    metadata: { name },
    spec: {
      replicas: 0,
      selector: other,
      template: { metadata: { labels: other.matchLabels }, spec: template("1").spec },
    },
  });
  await web.create(deployment(1));
  expect((await web.get()).status?.collisionCount).toBe(1);
  expect((await web.sets()).filter((rs) => rs.metadata.name !== name)).toHaveLength(1);
});
