import { expect, test } from "@jest/globals";
import type { StoreMember, StoreStatus } from "../../pkg/store/store.ts";
import { settle } from "../../pkg/util/fake-clock.ts";
import { Metrics } from "../../pkg/util/metrics.ts";
import { storeMetrics } from "./store-metrics.ts";

const member = (name: string, dbSize: number, inUse: number, healthy = true): StoreMember => ({
  name,
  endpoint: `http://${name}`,
  leader: false,
  version: "3.4.23",
  dbSize,
  inUse,
  alarms: [],
  healthy,
});

test.each<[string, StoreStatus, string[]]>([
  [
    "an own file",
    { kind: "lmdb", sizeBytes: 300, inUseBytes: 100, members: [] },
    ['{storage_cluster_id="lmdb"} 300', '{storage_cluster_id="lmdb"} 100'],
  ],
  [
    "members that answer",
    { kind: "etcd", sizeBytes: 20, inUseBytes: 10, members: [member("m0", 20, 10), member("m1", 0, 0, false)] },
    ['{storage_cluster_id="m0"} 20', '{storage_cluster_id="m0"} 10'],
  ],
])("%s", async (_what, status, expected) => {
  const metrics = new Metrics();
  storeMetrics({ status: async () => status }, metrics);
  await settle();
  const lines = (await metrics.text()).split("\n").filter((line) => /^(apiserver|minikube)_storage/.test(line));
  expect(lines.map((line) => line.replace(/^[a-z_]+/, ""))).toEqual(expected);
});

test("a store that tells nothing has none", async () => {
  const metrics = new Metrics();
  storeMetrics(undefined, metrics);
  expect(await metrics.text()).not.toContain("storage");
});
