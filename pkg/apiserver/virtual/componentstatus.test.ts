import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { componentStatuses } from "../../api/kinds/core/componentstatus.ts";
import { leases } from "../../api/kinds/coordination/lease.ts";
import { Client } from "../../client/client.ts";
import { MemoryStore } from "../../store/memory.ts";
import { rfc3339Micro, seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { ApiServer } from "../server.ts";
import { componentHandlers } from "./componentstatus.ts";

const clock = new FakeClock();
let server: ApiServer;
let client: Client;
let store: Error | undefined;

beforeEach(async () => {
  store = undefined;
  server = await ApiServer.open({ store: new MemoryStore(), clock, random: seededRandom(1), log: silent });
  client = new Client(server.transport(), "test");
  const reachStore = () => (store ? Promise.reject(store) : Promise.resolve());
  for (const [kind, handler] of componentHandlers({ clock, reachStore })) server.virtual.set(kind, handler);
});
afterEach(() => server.close());

async function health(): Promise<Record<string, string>> {
  const { items } = await client.resource(componentStatuses).list();
  return Object.fromEntries(
    items.map((o) => [o.metadata.name ?? "", o.conditions?.[0]?.message ?? o.conditions?.[0]?.error ?? ""]),
  );
}

const renewed = (at: number) => ({
  metadata: { name: "kube-scheduler" },
  spec: { holderIdentity: "host-1", leaseDurationSeconds: 15, renewTime: rfc3339Micro(at) },
});

test("all is well as long as nothing says otherwise", async () => {
  expect(await health()).toEqual({ "controller-manager": "ok", scheduler: "ok", "etcd-0": "ok" });
  await client.resource(leases, "kube-system").create(renewed(clock.now()));
  await clock.advance(14_000);
  expect((await health())["scheduler"]).toBe("ok");
});

test("a store that does not answer, and a Lease that nobody renews, are said", async () => {
  store = new Error("context deadline exceeded");
  await client.resource(leases, "kube-system").create(renewed(clock.now()));
  const at = rfc3339Micro(clock.now());
  await clock.advance(16_000);
  expect(await health()).toEqual({
    "controller-manager": "ok",
    scheduler: `host-1 has not renewed the Lease kube-scheduler since ${at}`,
    "etcd-0": "context deadline exceeded",
  });
  expect((await client.resource(componentStatuses).get("etcd-0")).conditions).toEqual([
    { type: "Healthy", status: "False", error: "context deadline exceeded" },
  ]);
  await expect(client.resource(componentStatuses).get("dns")).rejects.toThrow('componentstatuses "dns" not found');
});
