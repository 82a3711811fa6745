import { expect, test } from "@jest/globals";
import { leases } from "../../api/kinds/coordination/lease.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { APPLIED_REVISION, PROXY_NAMESPACE, proxyLeaseName } from "../../api/traffic.ts";
import { Client } from "../../client/client.ts";
import type { Call, Transport } from "../../client/transport.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { Acknowledger } from "./acknowledge.ts";

async function start() {
  const [store, clock, random] = [new MemoryStore(), new FakeClock(), seededRandom(1)];
  const server = await ApiServer.open({ store, clock, log: silent, random });
  const transport = server.transport();
  let before: () => Promise<unknown> | void = () => {};
  const held: Transport = Object.assign(Object.create(transport) as Transport, {
    call: async (call: Call, signal?: AbortSignal) => {
      await before();
      return transport.call(call, signal);
    },
  });
  const client = new Client(held, "test");
  const told = async () => {
    const lease = await new Client(transport, "test").resource(leases, PROXY_NAMESPACE).get(proxyLeaseName("n1"));
    return lease.metadata.annotations?.[APPLIED_REVISION];
  };
  return {
    acknowledger: new Acknowledger({ client, clock, random, log: silent, nodeName: "n1" }),
    told,
    onCall: (fn: typeof before) => void (before = fn),
    end: async () => {
      await server.close();
      await store.close();
    },
  };
}

test("the newest revision is told; what came while one was written comes after it", async () => {
  const { acknowledger, told, onCall, end } = await start();
  const stop = new AbortController();
  let calls = 0;
  const twice = new Promise<void>((resolve) =>
    onCall(() => {
      calls += 1;
      if (calls === 1) for (const revision of [6n, 7n]) acknowledger.applied(revision);
      if (calls > 2) resolve(); // a patch, which makes the Lease where there is none, and another
    }),
  );
  acknowledger.applied(5n);
  const running = acknowledger.run(stop.signal);
  await twice;
  stop.abort();
  await running;
  expect(await told()).toBe("7");
  await end();
});

test("it ends when it is to end while it writes, and while it waits", async () => {
  for (const during of ["write", "wait"] as const) {
    const { acknowledger, onCall, end } = await start();
    const stop = new AbortController();
    if (during === "write") onCall(() => stop.abort());
    acknowledger.applied(5n);
    const running = acknowledger.run(stop.signal);
    if (during === "wait") {
      await new Promise((resolve) => setImmediate(resolve));
      stop.abort();
    }
    await running;
    expect(stop.signal.aborted).toBe(true);
    await end();
  }
});
