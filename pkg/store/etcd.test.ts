import { afterAll, beforeAll } from "@jest/globals";
import { EtcdServer } from "../../test/harness/etcd.ts";
import { storeConformance } from "./conformance.ts";
import { EtcdStore } from "./etcd.ts";
let etcd: EtcdServer;
let opened = 0;
beforeAll(async () => {
  etcd = await EtcdServer.start();
}, 30_000);
afterAll(() => etcd.stop());
storeConformance(
  "EtcdStore",
  async (o) => new EtcdStore({ endpoints: [etcd.endpoint], prefix: `/test-${opened++}`, ...(o as {}) }),
);
