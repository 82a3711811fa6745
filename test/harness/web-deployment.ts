/** One Deployment on a simulated cluster, as a user changes it and `kubectl rollout` looks at it. */
import type { Deployment, DeploymentSpec, ReplicaSet } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { condition } from "../../pkg/api/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import type { SimulatedCluster } from "./simulated.ts";

const MERGE = "application/merge-patch+json";
const labels = { app: "web" };
const REVISION = "deployment.kubernetes.io/revision";

export const template = (version: string, image = "app") => ({
  metadata: { labels, annotations: { version } },
  spec: { containers: [{ name: "app", image, imagePullPolicy: "IfNotPresent" }] },
});
export const deployment = (replicas: number, spec: Partial<DeploymentSpec> = {}): Deployment => ({
  metadata: { name: "web" },
  spec: { replicas, selector: { matchLabels: labels }, template: template("1"), ...spec },
});

/** The one Deployment of a test, `web`. */
export class Web {
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

export const revision = (o: DeepReadonly<ReplicaSet | Deployment>) => Number(o.metadata.annotations?.[REVISION]);
export const sizes = (sets: readonly DeepReadonly<ReplicaSet>[]) => sets.map((rs) => [revision(rs), rs.spec?.replicas]);
