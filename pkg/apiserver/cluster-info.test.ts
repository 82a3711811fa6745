import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { CLUSTER_INFO } from "../api/bootstrap-token.ts";
import { configMaps } from "../api/kinds/core/configmap.ts";
import { Client } from "../client/client.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { clusterInfoText, parseClusterInfo, publishClusterInfo } from "./cluster-info.ts";
import { ApiServer } from "./server.ts";

const [A, B] = ["https://10.0.0.1:6443", "https://10.0.0.2:6443"];
const caCert = "-----BEGIN CERTIFICATE-----\n";

let api: ApiServer;
let client: Client;
let store: MemoryStore;
beforeEach(async () => {
  store = new MemoryStore();
  api = await ApiServer.open({ store, clock: new FakeClock(), random: seededRandom(1), log: silent });
  client = new Client(api.transport(), "test");
});
afterEach(async () => {
  await api.close();
  await store.close();
});

const map = () => client.resource(configMaps, CLUSTER_INFO.namespace).get(CLUSTER_INFO.name);
const published = async () => parseClusterInfo((await map()).data?.["kubeconfig"] ?? "");

describe("what a cluster publishes", () => {
  test("names every server under one CA, and is not written again by one that is in it", async () => {
    await publishClusterInfo(client, { server: A, caCert });
    await publishClusterInfo(client, { server: B, caCert });
    expect(await published()).toEqual({ server: A, others: [B], caCert });
    const before = (await map()).metadata.resourceVersion;
    for (const server of [A, B]) await publishClusterInfo(client, { server, caCert });
    expect((await map()).metadata.resourceVersion).toBe(before);
  });

  test("two servers that start at once are both in it", async () => {
    await Promise.all([A, B].map((server) => publishClusterInfo(client, { server, caCert })));
    const { server = "", others = [] } = (await published()) ?? {};
    expect([server, ...others].toSorted()).toEqual([A, B]);
  });

  test("under another CA the old servers are nobody's, and what others wrote stays", async () => {
    await publishClusterInfo(client, { server: A, caCert });
    await client
      .resource(configMaps, CLUSTER_INFO.namespace)
      .patch(CLUSTER_INFO.name, "application/merge-patch+json", { data: { note: "x" } });
    await publishClusterInfo(client, { server: B, caCert: "other" });
    expect(await published()).toEqual({ server: B, others: [], caCert: "other" });
    expect((await map()).data).toMatchObject({ note: "x" });
  });
});

test.each(["", "a: [", "clusters: []", "clusters: [{cluster: {server: x}}]", "7"])("%j is none", (text) => {
  expect(parseClusterInfo(text)).toBeUndefined();
  expect(parseClusterInfo(clusterInfoText({ server: A, others: [], caCert }))).toBeDefined();
});
