import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Endpoints, EndpointSlice } from "../api/generated/types.ts";
import { endpoints } from "../api/kinds/core/endpoints.ts";
import { services } from "../api/kinds/core/service.ts";
import { endpointSlices } from "../api/kinds/discovery/endpointslice.ts";
import { Client } from "../client/client.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { endpointObjects, keepEndpoint } from "./kubernetes-service.ts";
import { ApiServer } from "./server.ts";

test("servers of one port share a subset and a slice; the order does not depend on who came first", () => {
  const all = [
    { address: "10.0.0.2", port: 6443 },
    { address: "10.0.0.1", port: 6443 },
    { address: "10.0.0.1", port: 7443 },
  ];
  const { list, slices } = endpointObjects(all);
  expect(list.subsets?.map((s) => [s.addresses?.map((a) => a.ip), s.ports?.[0]?.port])).toEqual([
    [["10.0.0.1", "10.0.0.2"], 6443],
    [["10.0.0.1"], 7443],
  ]);
  expect(slices.map((s) => s.metadata.name)).toEqual(["kubernetes", "kubernetes-7443"]);
  expect(endpointObjects(all.toReversed())).toEqual({ list, slices });
});

describe("several servers on one store", () => {
  let server: ApiServer;
  let clock: FakeClock;
  const stops: AbortController[] = [];
  const running: Promise<void>[] = [];

  beforeEach(async () => {
    clock = new FakeClock();
    const store = new MemoryStore();
    server = await ApiServer.open({ store, clock, random: seededRandom(1), log: silent, serviceCidr: "10.99.0.0/16" });
  });
  afterEach(async () => {
    for (const s of stops) s.abort();
    await Promise.all(running.splice(0));
    await server.close();
  });

  const client = () => new Client(server.transport(), "apiserver");
  const lists = async (): Promise<string> => {
    const list = (await client().resource<Endpoints>(endpoints, "default").get("kubernetes")) as Endpoints;
    const slices = await client().resource<EndpointSlice>(endpointSlices, "default").list();
    const sliced = slices.items.flatMap((s) => s.endpoints?.flatMap((e) => e.addresses) ?? []);
    const listed = list.subsets?.flatMap((s) => s.addresses?.map((a) => a.ip) ?? []) ?? [];
    expect(sliced.toSorted()).toEqual(listed.toSorted());
    return listed.join(" ");
  };

  function start(address: string): AbortController {
    const stop = new AbortController();
    stops.push(stop);
    running.push(keepEndpoint({ client: client(), clock, log: silent, address, port: 6443 }, stop.signal));
    return stop;
  }

  test("the Service has the first address of its range; its endpoints are those who live", async () => {
    expect((await client().resource(services, "default").get("kubernetes")).spec?.clusterIP).toBe("10.99.0.1");
    start("10.0.0.1");
    const second = start("10.0.0.2");
    await clock.advance(6_000);
    expect(await lists()).toBe("10.0.0.1 10.0.0.2");
    second.abort();
    await clock.advance(100);
    expect(await lists()).toBe("10.0.0.1");
  });

  test("one that falls silent is taken out by the others, whatever its clock said", async () => {
    const lease = {
      holderIdentity: "10.0.0.9:6443",
      leaseDurationSeconds: 15,
      renewTime: "2099-01-01T00:00:00.000000Z",
    };
    const labels = { "apiserver.kubernetes.io/identity": "kube-apiserver" };
    await server.transport().call({
      verb: "create",
      group: "coordination.k8s.io",
      version: "v1",
      resource: "leases",
      namespace: "kube-system",
      body: { metadata: { name: "apiserver-10-0-0-9-6443", namespace: "kube-system", labels }, spec: lease },
    });
    start("10.0.0.1");
    await clock.advance(6_000);
    expect(await lists()).toBe("10.0.0.1 10.0.0.9");
    await clock.advance(15_000);
    expect(await lists()).toBe("10.0.0.1");
  });
});
