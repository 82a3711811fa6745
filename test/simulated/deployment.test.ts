/** Deployments on a whole simulated cluster. */
import { expect, test } from "@jest/globals";
import type { Deployment, DeploymentSpec, ReplicaSet } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { condition } from "../../pkg/api/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

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
    const pods = (await c.pods()).filter((p) => p.metadata.deletionTimestamp === undefined);
    most = Math.max(most, pods.length);
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
