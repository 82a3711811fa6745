/** An API server in memory and all controllers on it, on a fake clock: no nodes, no scheduler. */
import { expect } from "@jest/globals";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { runControllers } from "../controllers.ts";

export interface ControlPlane {
  readonly clock: FakeClock;
  readonly client: Client;
  readonly server: ApiServer;
  /** Stops all of it; fails when a timer is left. */
  end(): Promise<void>;
}

export async function startControlPlane(): Promise<ControlPlane> {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock, random, log: silent });
  const client = new Client(server.transport(), "test");
  const stop = new AbortController();
  const done = runControllers({ client, clock, log: silent, random, caCert: "PEM" }, stop.signal);
  await clock.advance(0);
  return {
    clock,
    client,
    server,
    async end() {
      stop.abort();
      await done;
      await server.close();
      await store.close();
      expect(clock.pending).toBe(0);
    },
  };
}
