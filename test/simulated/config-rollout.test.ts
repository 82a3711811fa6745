/** Roll-outs that a changed ConfigMap or Secret starts, on a whole simulated cluster. */
import { expect, test } from "@jest/globals";
import type { DaemonSet, Deployment, PodTemplateSpec, StatefulSet } from "../../pkg/api/generated/types.ts";
import { daemonSets } from "../../pkg/api/kinds/apps/daemonset.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { statefulSets } from "../../pkg/api/kinds/apps/statefulset.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { secrets } from "../../pkg/api/kinds/core/secret.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

const MERGE = "application/merge-patch+json";
const annotations = { "mini-kube.io/rollout-on-config-change": "true" };
const labels = (app: string) => ({ app });

function template(app: string): PodTemplateSpec {
  const envFrom = [{ configMapRef: { name: "settings" } }];
  const volumes = [{ name: "tls", secret: { secretName: "certificate", optional: true } }];
  return {
    metadata: { labels: labels(app) },
    spec: { containers: [{ name: "app", image: "app", imagePullPolicy: "IfNotPresent", envFrom }], volumes },
  };
}
const spec = (app: string) => ({ selector: { matchLabels: labels(app) }, template: template(app) });

/** The Pods of one app, and when they were made. */
async function podsOf(c: SimulatedCluster, app: string): Promise<readonly string[]> {
  const own = (await c.pods()).filter((p) => p.metadata.labels?.["app"] === app && !p.metadata.deletionTimestamp);
  return own.map((p) => p.metadata.uid ?? "").toSorted();
}

test("Pods of all three kinds are replaced, once for all that changes together; who did not ask keeps its own", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  await c.client.resource(configMaps, "default").create({ metadata: { name: "settings" }, data: { colour: "blue" } });
  const deployment = (name: string, own: object): Deployment => ({ metadata: { name, ...own }, spec: spec(name) });
  const api = c.client.resource<Deployment>(deployments, "default");
  await api.create(deployment("web", { annotations }));
  await api.create(deployment("steady", {}));
  const statefulSet: StatefulSet = {
    metadata: { name: "db", annotations },
    spec: { serviceName: "db", ...spec("db") },
  };
  await c.client.resource<StatefulSet>(statefulSets, "default").create(statefulSet);
  await c.client
    .resource<DaemonSet>(daemonSets, "default")
    .create({ metadata: { name: "each", annotations }, spec: spec("each") });
  const apps = ["web", "db", "each", "steady"];
  const counts = [1, 1, 2, 1];
  const all = () => Promise.all(apps.map((app) => podsOf(c, app)));
  const settled = async () => (await all()).every((uids, i) => uids.length === counts[i]);
  await c.until(settled);
  await c.clock.advance(10_000);
  const before = await all();

  // Two changes within the time that is waited for quiet, one of them of what is optional.
  await c.client.resource(configMaps, "default").patch("settings", MERGE, { data: { colour: "green" } });
  await c.clock.advance(1_000);
  await c.client
    .resource(secrets, "default")
    .create({ metadata: { name: "certificate" }, data: { "tls.crt": "eA==" } });
  await c.until(
    async () => {
      const now = await all();
      const replaced = now.slice(0, 3).every((uids, i) => !uids.some((uid) => before[i]?.includes(uid)));
      return replaced && (await settled());
    },
    180_000,
    100,
  );
  expect(await podsOf(c, "steady")).toEqual(before[3]);
  expect((await api.get("web")).metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("2");
  expect(await c.events("web")).toContain(
    "ConfigurationChanged: Rolling out: changed ConfigMap/settings, Secret/certificate",
  );

  const after = await all();
  await c.client.resource(configMaps, "default").patch("settings", MERGE, { metadata: { labels: { x: "y" } } });
  await c.clock.advance(60_000);
  expect(await all()).toEqual(after);
});

test("an undo is not undone", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  await c.client.resource(configMaps, "default").create({ metadata: { name: "settings" }, data: { colour: "blue" } });
  const api = c.client.resource<Deployment>(deployments, "default");
  await api.create({ metadata: { name: "web", annotations }, spec: spec("web") });
  const revision = async () => (await api.get("web")).metadata.annotations?.["deployment.kubernetes.io/revision"];
  await c.until(async () => (await podsOf(c, "web")).length === 1);
  await c.client.resource(configMaps, "default").patch("settings", MERGE, { data: { colour: "green" } });
  await c.until(async () => (await revision()) === "2");
  // As kubectl does: the template of the older ReplicaSet, and the annotations that it has.
  const { metadata } = await api.get("web");
  const { "mini-kube.io/config-seen": _, ...kept } = metadata.annotations ?? {};
  await api.patch("web", "application/json-patch+json", [
    { op: "replace", path: "/spec/template", value: template("web") },
    { op: "replace", path: "/metadata/annotations", value: kept },
  ]);
  await c.until(async () => (await revision()) === "3");
  await c.clock.advance(60_000);
  expect(await revision()).toBe("3");
});
