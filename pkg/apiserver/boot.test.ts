import { expect, test } from "@jest/globals";
import { services } from "../api/kinds/core/service.ts";
import { Client } from "../client/client.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { createBootObjects } from "./boot.ts";
import { ApiServer } from "./server.ts";

test("what another server has made since this one looked is as good as its own", async () => {
  const store = new MemoryStore();
  const options = { clock: new FakeClock(), log: silent, random: seededRandom(1), serviceCidr: "10.96.0.0/16" };
  const server = await ApiServer.open({ store, ...options });
  const service = () => new Client(server.transport(), "test").resource(services, "default").get("kubernetes");
  const before = await service();
  // It saw nothing: of the Service it is told that the address is taken, of the others that they are there.
  const looked = { resources: server.resources, view: { get: () => undefined }, transport: () => server.transport() };
  await createBootObjects(looked, "10.96.0.1");
  expect(await service()).toEqual(before);
  // What is nobody's making hinders the start.
  await server
    .transport()
    .call({ verb: "delete", resource: "services", group: "", version: "v1", namespace: "default", name: "kubernetes" });
  await expect(createBootObjects(looked, "192.0.2.1")).rejects.toThrow("192.0.2.1");
  await server.close();
  await store.close();
});
