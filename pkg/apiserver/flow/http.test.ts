/** Fair queueing over real HTTPS, and who may ask without credentials. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { Client } from "../../client/client.ts";
import type { ConfigMap, FlowSchema } from "../../api/generated/types.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { flowSchemas } from "../../api/kinds/flowcontrol/flowschema.ts";
import { priorityLevelConfigurations } from "../../api/kinds/flowcontrol/prioritylevelconfiguration.ts";
import { nameOf, uidOf } from "../../api/object.ts";
import { clusterRoleBindings } from "../../api/kinds/rbac/rolebinding.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom, systemClock } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import { createCa, issueCert, type KeyPair, newSigningKey } from "../../util/pki.ts";
import { ensurePolicy } from "../auth/ensure-policy.ts";
import { openAccess } from "../auth/open.ts";
import { type HttpListener, listen, type ListenOptions } from "../http.ts";
import { RequestMetrics } from "../request-metrics.ts";
import { ApiServer } from "../server.ts";
import { ensureFlowObjects } from "./ensure.ts";

const OBJECTS = 120;
const PARALLEL = 200;
const SAMPLES = 9;
const PATH = "/api/v1/namespaces/default/configmaps";

let ca: KeyPair;
let server: ApiServer;
let tls: ListenOptions["tls"];
const store = new MemoryStore();
const users: Record<string, KeyPair> = {};
const undo: (() => unknown)[] = [];

beforeAll(async () => {
  const now = systemClock.now();
  ca = await createCa("test-ca", now);
  const issue = (commonName: string, usage: "client" | "server", organizations: string[] = []) =>
    issueCert(ca, { commonName, organizations, ips: ["127.0.0.1"], usages: [usage] }, now);
  users["admin"] = await issue("admin", "client", ["system:masters"]);
  users["greedy"] = await issue("greedy", "client", ["developers"]);
  users["patient"] = await issue("patient", "client", ["developers"]);
  tls = { ...(await issue("apiserver", "server")), clientCa: ca.cert };
  server = await ApiServer.open({ store, clock: systemClock, random: seededRandom(1), log: silent });
  const client = new Client(server.transport(), "test");
  await ensurePolicy(client, server.view);
  await ensureFlowObjects(client, server.view);
  await client.resource(clusterRoleBindings).create({
    metadata: { name: "developers" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "developers" }],
  });
  const data = { text: "x".repeat(500) };
  const names = Array.from({ length: OBJECTS }, (_, i): ConfigMap => ({ metadata: { name: `c-${i}` }, data }));
  await Promise.all(names.map((o) => client.resource(configMaps, "default").create(o)));
});

afterAll(async () => {
  for (const step of undo.toReversed()) await step();
  await server.close();
  await store.close();
});

async function serve(o: { seats?: number; anonymous?: boolean } = {}): Promise<HttpListener> {
  const access = openAccess(server, { key: newSigningKey(), random: seededRandom(2), anonymous: o.anonymous });
  const agentTls = { ...(users["admin"] ?? tls), ca: ca.cert };
  const listener = await listen(server, {
    host: "127.0.0.1",
    port: 0,
    tls,
    agentTls,
    log: silent,
    access,
    seats: o.seats,
  });
  undo.push(() => listener.close());
  return listener;
}

function agentOf(who: string | undefined, maxSockets: number): Agent {
  const agent = new Agent({ ...(who ? users[who] : {}), ca: ca.cert, keepAlive: true, maxSockets });
  undo.push(() => agent.destroy());
  return agent;
}

/** Its body is thrown away. */
async function get(listener: HttpListener, path: string, agent: Agent): Promise<IncomingMessage> {
  const res = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`${listener.url}${path}`, { agent }, resolve).once("error", reject).end();
  });
  await new Promise((resolve) => res.resume().once("close", resolve));
  return res;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** How many lists are answered first when one object is asked for, while another client has 200 lists under way all the time. */
async function patience(listener: HttpListener, o: { greedy: Agent; patient: Agent }) {
  let over = false;
  let lists = 0;
  const load = Array.from({ length: PARALLEL }, async () => {
    while (!over) {
      const { statusCode } = await get(listener, PATH, o.greedy);
      if (statusCode === 200) lists += 1;
    }
  });
  while (lists < 10) await get(listener, `${PATH}/c-0`, o.patient);
  const before: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const began = lists;
    expect((await get(listener, `${PATH}/c-0`, o.patient)).statusCode).toBe(200);
    before.push(lists - began);
  }
  over = true;
  await Promise.all(load);
  return median(before);
}

test("200 lists at once of one client: another's gets wait for a few of them, not for all", async () => {
  const listener = await serve({ seats: 10 });
  const agents = { greedy: agentOf("greedy", PARALLEL), patient: agentOf("patient", 1) };
  const fair = await patience(listener, agents);
  // The same without any queue.
  const schema = schemaFor("greedy", { name: "crowd", level: "exempt" });
  await new Client(server.transport(), "test").resource(flowSchemas).create(schema);
  const crowd = await patience(listener, agents);
  await new Client(server.transport(), "test").resource(flowSchemas).delete("crowd");
  expect(fair).toBeLessThan(crowd / 10);
});

/** By which all that a user asks is served at this level. */
function schemaFor(user: string, o: { name: string; level: string }): FlowSchema {
  const resourceRules = [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"] }];
  const rules = [{ subjects: [{ kind: "User", user: { name: user } }], resourceRules }];
  return {
    metadata: { name: o.name },
    spec: { priorityLevelConfiguration: { name: o.level }, matchingPrecedence: 10, rules },
  };
}

describe("on the wire", () => {
  test("each answer says by which schema and level it was served", async () => {
    const listener = await serve();
    const { headers } = await get(listener, PATH, agentOf("patient", 1));
    const schema = server.view.get(flowSchemas, "", "global-default");
    expect(schema && uidOf(schema)).toBe(headers["x-kubernetes-pf-flowschema-uid"]);
    expect(headers["x-kubernetes-pf-prioritylevel-uid"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("who finds no seat and no queue is told when to come again; no seat is lost by who goes away", async () => {
    const client = new Client(server.transport(), "test");
    const queuing = { queues: 1, handSize: 1, queueLengthLimit: 5 };
    await client.resource(priorityLevelConfigurations).create({
      metadata: { name: "narrow" },
      spec: { type: "Limited", limited: { nominalConcurrencyShares: 1, limitResponse: { type: "Queue", queuing } } },
    });
    await client.resource(flowSchemas).create(schemaFor("greedy", { name: "narrow", level: "narrow" }));
    const listener = await serve({ seats: 1 });
    const metrics = new RequestMetrics({ clock: systemClock, objects: () => [] });
    listener.count(metrics);
    const agent = agentOf("greedy", 30);
    const all = await Promise.all(Array.from({ length: 60 }, () => get(listener, PATH, agent)));
    const codes = new Set(all.map((res) => res.statusCode));
    expect(codes).toEqual(new Set([200, 429]));
    expect(all.find((res) => res.statusCode === 429)?.headers["retry-after"]).toBe("1");

    const gone = agentOf("greedy", 30);
    const broken = Array.from({ length: 60 }, () => get(listener, PATH, gone).catch(() => undefined));
    await Promise.race(broken);
    gone.destroy();
    await Promise.all(broken);
    const count = async (name: string) => {
      const text = await metrics.text();
      const values = [...text.matchAll(new RegExp(`^apiserver_flowcontrol_${name}\\{.*\\} (.*)$`, "gm"))];
      return values.reduce((n, m) => n + Number(m[1]), 0);
    };
    const deadline = AbortSignal.timeout(60_000);
    while ((await count("current_executing_seats")) + (await count("current_inqueue_requests")) > 0) {
      await systemClock.sleep(5, deadline);
    }
    expect(await count("rejected_requests_total")).toBeGreaterThan(0);
    expect(await count("dispatched_requests_total")).toBeGreaterThan(0);
  });

  test("a watch takes seats only for its beginning", async () => {
    const listener = await serve({ seats: 1 });
    const agent = agentOf("greedy", 20);
    const watches = await Promise.all(
      Array.from({ length: 10 }, () => {
        return new Promise<IncomingMessage>((resolve, reject) => {
          request(`${listener.url}${PATH}?watch=1`, { agent }, resolve).once("error", reject).end();
        });
      }),
    );
    expect(watches.map((w) => w.statusCode)).toEqual(watches.map(() => 200));
    expect((await get(listener, `${PATH}/c-0`, agentOf("patient", 1))).statusCode).toBe(200);
    for (const w of watches) w.destroy();
  });

  test("each schema says whether its level is there", async () => {
    const client = new Client(server.transport(), "test");
    const listener = await serve();
    const lost: FlowSchema = {
      metadata: { name: "lost" },
      spec: { priorityLevelConfiguration: { name: "nowhere" }, matchingPrecedence: 5000 },
    };
    await client.resource(flowSchemas).create(lost);
    await get(listener, PATH, agentOf("patient", 1));
    const told = () =>
      Object.fromEntries(
        [...server.view.list(flowSchemas)].map((s) => [nameOf(s), s.status?.conditions?.[0]?.status] as const),
      );
    const deadline = AbortSignal.timeout(60_000);
    while (Object.values(told()).includes(undefined)) await systemClock.sleep(5, deadline);
    expect(told()).toMatchObject({ lost: "True", exempt: "False", "global-default": "False" });
  });
});

describe("without credentials", () => {
  test.each<[string, number]>([
    ["/healthz", 200],
    ["/livez", 200],
    ["/readyz", 200],
    ["/version", 200],
    ["/api/v1/namespaces/kube-public/configmaps/cluster-info", 401],
    ["/api/v1/namespaces/kube-public/configmaps", 401],
    ["/api/v1/namespaces/kube-system/secrets", 401],
    ["/", 401],
    ["/api", 401],
    ["/apis", 401],
    ["/openapi/v2", 401],
    ["/metrics", 401],
    ["/openid/v1/jwks", 401],
    ["/debug/log-level", 401],
    ["/version/../api/v1/pods", 401],
    ["//api/v1/pods", 401],
  ])("GET %s is answered with %i", async (path, code) => {
    expect((await get(await serve(), path, agentOf(undefined, 1))).statusCode).toBe(code);
  });

  test("with --anonymous-auth=false nothing at all", async () => {
    const listener = await serve({ anonymous: false });
    const asked = ["/healthz", "/version", "/api"].map((p) => get(listener, p, agentOf(undefined, 1)));
    expect((await Promise.all(asked)).map((res) => res.statusCode)).toEqual([401, 401, 401]);
    expect((await get(listener, "/readyz", agentOf("patient", 1))).statusCode).toBe(200);
  });
});
