/**
 * Components in one process are trusted; alone on another machine they have what the bootstrap policy and the node
 * authorizer give them. Here a cluster does what clusters do, and each call is put to those as well.
 */
import { expect, test } from "@jest/globals";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { horizontalPodAutoscalers } from "../../pkg/api/kinds/autoscaling/horizontalpodautoscaler.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { namespaces } from "../../pkg/api/kinds/core/namespace.ts";
import { secrets } from "../../pkg/api/kinds/core/secret.ts";
import { serviceAccounts } from "../../pkg/api/kinds/core/serviceaccount.ts";
import { podDisruptionBudgets } from "../../pkg/api/kinds/policy/poddisruptionbudget.ts";
import { clusterRoles } from "../../pkg/api/kinds/rbac/role.ts";
import { decide } from "../../pkg/apiserver/auth/authorization.ts";
import { ensurePolicy } from "../../pkg/apiserver/auth/ensure-policy.ts";
import { attributesOf } from "../../pkg/apiserver/auth/request-attributes.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

test("no component asks for what it would not get", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  if (c.wire.server) await ensurePolicy(c.client, c.wire.server.view);
  const asked = new Set<string>();
  const refused = new Set<string>();
  c.wire.seen = (user, call) => {
    // While it is away, nobody decides.
    if (!c.wire.server) return;
    const a = attributesOf(user, call);
    const what = `${user.name}: ${a.verb} ${[a.apiGroup, a.resource, a.subresource].filter(Boolean).join("/")}`;
    asked.add(what);
    const { allowed, reason } = decide(a, c.wire.server.view);
    if (!allowed) refused.add(`${what} ${a.namespace}/${a.name} ${a.fieldSelector ?? ""} ${reason}`);
  };
  // All lists and watches anew.
  await c.stopApiServer();
  await c.startApiServer();
  await c.client.resource(configMaps, "default").create({ metadata: { name: "config" }, data: { k: "v" } });
  await c.client.resource(secrets, "default").create({ metadata: { name: "secret" }, data: { k: "dg==" } });
  const env = [
    { name: "A", valueFrom: { configMapKeyRef: { name: "config", key: "k" } } },
    { name: "B", valueFrom: { secretKeyRef: { name: "secret", key: "k" } } },
  ];
  await c.create("web", [{ env }], { labels: { app: "web" } });
  await c.client.resource(podDisruptionBudgets, "default").create({
    metadata: { name: "web" },
    spec: { minAvailable: 1, selector: { matchLabels: { app: "web" } } },
  });
  await c.client.resource(serviceAccounts, "default").create({ metadata: { name: "bot" } });
  await c.client.resource(clusterRoles).create({
    metadata: { name: "more", labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" } },
    rules: [{ verbs: ["get"], apiGroups: ["acme.com"], resources: ["widgets"] }],
  });
  await c.client.resource(namespaces).create({ metadata: { name: "shop" } });
  await c.create("gone", [{}], { namespace: "shop" });
  await c.untilReady("web");
  const web = { metadata: { labels: { app: "scaled" } }, spec: { containers: [{ name: "app", image: "app" }] } };
  await c.client.resource(replicaSets, "default").create({
    metadata: { name: "scaled" },
    spec: { replicas: 1, selector: { matchLabels: { app: "scaled" } }, template: web },
  });
  await c.client.resource(horizontalPodAutoscalers, "default").create({
    metadata: { name: "scaled" },
    spec: {
      minReplicas: 2,
      maxReplicas: 3,
      scaleTargetRef: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "scaled" },
    },
  });
  await c.client.resource(namespaces).delete("shop");
  await c.delete("web");
  await c.until(async () => (await c.pods()).filter(isReady).length === 2, 120_000);
  await c.clock.advance(30_000);
  await c.client.resource(replicaSets, "default").delete("scaled");
  await c.until(async () => (await c.pods()).length === 0, 120_000);
  await c.clock.advance(60_000);
  await c.create("lost", [{}], { nodeName: "node-2" });
  await c.untilReady("lost");
  await c.node("node-2").kill();
  await c.until(async () => (await c.pod("lost"))?.metadata.deletionTimestamp !== undefined, 120_000);
  await c.client.resource(nodes).delete("node-2");
  await c.until(async () => (await c.pod("lost")) === undefined, 120_000);
  expect([...refused]).toEqual([]);
  expect([...asked]).toEqual(
    expect.arrayContaining([
      "system:kube-scheduler: create pods/binding",
      expect.stringMatching(/^system:node:node-[12]: get secrets$/),
      "system:node:node-1: update coordination.k8s.io/leases",
      "system:kube-controller-manager: update rbac.authorization.k8s.io/clusterroles",
    ]),
  );
});
