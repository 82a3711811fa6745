/** Deployments on a whole simulated cluster. */
import { expect, test } from "@jest/globals";
import type { Deployment, DeploymentSpec, Pod, ReplicaSet } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { type ApiObject, nameOf, type WatchEvent } from "../../pkg/api/object.ts";
import { condition } from "../../pkg/api/pod.ts";
import type { ResourceRef } from "../../pkg/api/resource.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import { type Random, seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const MERGE = "application/merge-patch+json";
const labels = { app: "web" };
const REVISION = "deployment.kubernetes.io/revision";

const template = (version: string, image = "app") => ({
  metadata: { labels, annotations: { version } },
  spec: { containers: [{ name: "app", image, imagePullPolicy: "IfNotPresent" }] },
});
const deployment = (replicas: number, spec: Partial<DeploymentSpec> = {}): Deployment => ({
  metadata: { name: "web" },
  spec: { replicas, selector: { matchLabels: labels }, template: template("1"), ...spec },
});

/** The one Deployment of a test. */
class Web {
  readonly #c: SimulatedCluster;

  constructor(c: SimulatedCluster) {
    this.#c = c;
  }

  get #api() {
    return this.#c.client.resource(deployments, "default");
  }

  async create(d: Deployment): Promise<void> {
    await this.#api.create(d);
    await this.untilDone();
  }

  get(): Promise<DeepReadonly<Deployment>> {
    return this.#api.get("web");
  }

  async change(spec: object, metadata: object = {}): Promise<void> {
    await this.#api.patch("web", MERGE, { metadata, spec });
  }

  async sets(): Promise<readonly DeepReadonly<ReplicaSet>[]> {
    const { items } = await this.#c.client.resource(replicaSets, "default").list();
    return items.toSorted((a, b) => revision(a) - revision(b));
  }

  async progressing() {
    return condition((await this.get()).status?.conditions, "Progressing");
  }

  /** As `kubectl rollout status` decides it. */
  async untilDone(limitMs = 300_000): Promise<void> {
    await this.#c.until(
      async () => {
        const { metadata, spec, status } = await this.get();
        const { updatedReplicas = 0, replicas = 0, availableReplicas = 0, observedGeneration } = status ?? {};
        const observed = observedGeneration === metadata.generation;
        return observed && [updatedReplicas, replicas, availableReplicas].every((n) => n === spec?.replicas);
      },
      limitMs,
      100,
    );
  }
}

const revision = (o: DeepReadonly<ReplicaSet | Deployment>) => Number(o.metadata.annotations?.[REVISION]);
const sizes = (sets: readonly DeepReadonly<ReplicaSet>[]) => sets.map((rs) => [revision(rs), rs.spec?.replicas]);

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

/** Every write of ReplicaSets and what they make may fail, before or after it is done. */
function failWrites(c: SimulatedCluster, random: Random, share: number): void {
  c.wire.fault = ({ verb, group, resource, subresource, name }) => {
    // A node that cannot report would lose its Pods, and that is another story.
    const ours = group === "apps" || (resource === "pods" && subresource === undefined);
    if (!ours || random() >= share || verb === "get" || verb === "list") return;
    const away = () => {
      throw new ApiError("ServiceUnavailable", "away");
    };
    if (verb === "watch" || random() < 0.3) return away();
    // Of a delete a conflict means that it is another one by now: nobody retries that.
    if (random() < 0.5 || (verb !== "update" && verb !== "patch")) return away;
    throw conflict({ group, resource }, name ?? "");
  };
}

test.each([1, 2, 3, 4, 5])(
  "whatever fails: never more than maxSurge above, never fewer than maxUnavailable allows (seed %i)",
  async (seed) => {
    const random = seededRandom(seed);
    const upTo = (n: number) => Math.floor(random() * n);
    await using c = await SimulatedCluster.start({ nodes: 3, seed });
    const web = new Web(c);
    const strategy = { rollingUpdate: { maxSurge: 2, maxUnavailable: 1 } };
    await web.create(deployment(6, { strategy, minReadySeconds: 2, progressDeadlineSeconds: 30 }));
    const broken: string[] = [];
    const stop = new AbortController();
    const watching = watchInvariants(c, stop.signal, broken, { most: 8, fewest: 5 });
    failWrites(c, random, 0.2);
    for (let n = 0; n < 30; n++) {
      const version = String(1 + upTo(6));
      const change = [
        { template: template(version) },
        { template: template(version, "slow:3s") },
        { template: template("bad", "missing:1") },
        { paused: true },
        { paused: null },
      ][upTo(5)];
      await web.change(change ?? {});
      await c.clock.advance(upTo(12_000));
    }
    c.wire.fault = () => {};
    await web.change({ paused: null, template: template("last") });
    await c.until(async () => (await web.progressing())?.reason === "NewReplicaSetAvailable", 600_000, 1_000);
    await web.untilDone(600_000);
    stop.abort();
    await watching;
    expect(broken).toEqual([]);
    await c.until(async () => (await c.pods()).length === 6, 600_000, 1_000);
    expect((await c.pods()).map((p) => p.metadata.annotations?.["version"])).toEqual(Array(6).fill("last"));
  },
  60_000,
);

/** Looks at every single state that ReplicaSets and Pods go through. */
async function watchInvariants(
  c: SimulatedCluster,
  signal: AbortSignal,
  broken: string[],
  bounds: { readonly most: number; readonly fewest: number },
): Promise<void> {
  const wanted = new Map<string, number>();
  const ready = new Set<string>();
  const onSet = ({ type, object }: DeepReadonly<WatchEvent<ReplicaSet>>) => {
    wanted.set(nameOf(object), type === "DELETED" ? 0 : (object.spec?.replicas ?? 0));
    const total = [...wanted.values()].reduce((n, replicas) => n + replicas, 0);
    if (total > bounds.most) broken.push(`${total} wanted`);
  };
  let settled = false;
  const onPod = ({ type, object }: DeepReadonly<WatchEvent<Pod>>) => {
    const serves = type !== "DELETED" && object.metadata.deletionTimestamp === undefined && isReady(object);
    if (serves) ready.add(nameOf(object));
    else ready.delete(nameOf(object));
    settled ||= ready.size >= bounds.fewest;
    if (settled && ready.size < bounds.fewest) broken.push(`${ready.size} ready`);
  };
  const follow = async <T extends ApiObject>(ref: ResourceRef<T>, see: (e: DeepReadonly<WatchEvent<T>>) => void) => {
    for await (const event of c.client.resource(ref).watch({ resourceVersion: "0" }, signal)) {
      if (event.type !== "BOOKMARK") see(event);
    }
  };
  await Promise.allSettled([follow<ReplicaSet>(replicaSets, onSet), follow<Pod>(pods, onPod)]);
}
