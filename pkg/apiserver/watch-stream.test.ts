import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { createInterface } from "node:readline";
import { configMaps } from "../api/kinds/core/configmap.ts";
import { REMOVED_NODES } from "../api/removed-nodes.ts";
import { Client } from "../client/client.ts";
import { MemoryStore } from "../store/memory.ts";
import { rfc3339, systemClock } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { createCa, issueCert } from "../util/pki.ts";
import { listen } from "./http.ts";
import { ApiServer } from "./server.ts";

const MINUTE = 60_000;

async function start() {
  const now = systemClock.now();
  const ca = await createCa("test-ca", now);
  const issue = (commonName: string, usage: "client" | "server", ...organizations: string[]) =>
    issueCert(ca, { commonName, organizations, ips: ["127.0.0.1"], usages: [usage] }, now);
  const [node, admin, tls] = await Promise.all([
    issue("system:node:n1", "client", "system:nodes", "system:masters"),
    issue("admin", "client", "system:masters"),
    issue("apiserver", "server"),
  ]);
  const store = new MemoryStore();
  const clock = new FakeClock();
  const server = await ApiServer.open({ store, clock, random: () => 0.5, log: silent });
  const listener = await listen(server, {
    host: "127.0.0.1",
    port: 0,
    tls: { ...tls, clientCa: ca.cert },
    agentTls: { ...admin, ca: ca.cert },
    log: silent,
  });
  const api = new Client(server.transport(), "test").resource(configMaps);
  const watch = async (query: string, who: typeof admin) => {
    const path = `/api/v1/configmaps?watch=true${query}`;
    const sent = request(`${listener.url}${path}`, { agent: false, ca: ca.cert, ...who }).end();
    const [res] = (await once(sent, "response")) as [IncomingMessage];
    const lines = createInterface(res)[Symbol.asyncIterator]();
    /** Undefined: the watch has ended. */
    const next = async () => {
      const { value } = await lines.next();
      if (value === undefined) return undefined;
      const { type, object } = JSON.parse(value) as {
        type: string;
        object: { message?: string; metadata: { name?: string } };
      };
      return `${type} ${object.message ?? object.metadata.name}`;
    };
    return { res, next };
  };
  const end = async () => {
    await listener.close();
    await server.close();
    await store.close();
  };
  const put = (name: string, namespace = "default") =>
    api.create({ metadata: { name, namespace }, data: { n1: rfc3339(now + MINUTE) } });
  return { clock, watch, put, node, admin, end };
}

let c: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  c = await start();
});
afterEach(() => c.end());

describe("a watch", () => {
  test.each(["", "&timeoutSeconds=0"])("that does not say how long (%j) ends in order after a while", async (query) => {
    const { res, next } = await c.watch(query, c.admin);
    await c.clock.advance(45 * MINUTE - 1);
    await c.put("late");
    expect(await next()).toBe("ADDED late");
    await c.clock.advance(1);
    expect(await next()).toBeUndefined();
    expect(res.complete).toBe(true);
  });

  test("of a node says nothing more once the node is removed", async () => {
    const [ofNode, ofAdmin] = [await c.watch("", c.node), await c.watch("", c.admin)];
    await c.put("before");
    expect(await ofNode.next()).toBe("ADDED before");
    await c.put(REMOVED_NODES.name, REMOVED_NODES.namespace);
    const refusal = "the node n1 was removed from the cluster; join again with a new token";
    expect([await ofNode.next(), await ofNode.next()]).toEqual([`ERROR ${refusal}`, undefined]);
    await c.put("after");
    expect([await ofAdmin.next(), await ofAdmin.next(), await ofAdmin.next()]).toEqual([
      "ADDED before",
      `ADDED ${REMOVED_NODES.name}`,
      "ADDED after",
    ]);
  });
});
