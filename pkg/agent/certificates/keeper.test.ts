import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bootstrapTokenSecret, DEFAULT_TOKEN_GROUP } from "../../api/bootstrap-token.ts";
import { certificateSigningRequests } from "../../api/kinds/certificates/certificatesigningrequest.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { onResource } from "../../api/rbac/attributes.ts";
import { openAccess } from "../../apiserver/auth/open.ts";
import { decide } from "../../apiserver/auth/authorization.ts";
import { ensurePolicy } from "../../apiserver/auth/ensure-policy.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { runControllers } from "../../controllers/controllers.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { certificateAuthority, createCa, newSigningKey } from "../../util/pki.ts";
import { pendingKey } from "./files.ts";
import { CertificateKeeper } from "./keeper.ts";
import { wantedOf } from "./plan.ts";
import { askForCertificate } from "./request.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** A control plane that signs for an hour, on a fake clock. */
async function start() {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock, random, log: silent });
  const admin = new Client(server.transport(), "test");
  openAccess(server, { key: newSigningKey(), random }); // answers who may what
  await ensurePolicy(admin, server.view);
  await server.cache.fresh();
  const ca = await createCa("test", clock.now());
  const stop = new AbortController();
  const authority = certificateAuthority(ca, clock);
  const controllers = runControllers(
    { client: admin, clock, log: silent, random, caCert: ca.cert, authority, signingSeconds: 3600 },
    stop.signal,
  );
  await clock.advance(0);
  const directory = mkdtempSync(join(tmpdir(), "mk-keeper-"));
  const as = (name: string, ...groups: string[]) =>
    new Client(server.transport({ name, groups: [...groups, "system:authenticated"] }), "kubelet");
  return {
    clock,
    server,
    ca,
    admin,
    directory,
    stop,
    bootstrap: as("system:bootstrap:abc123", "system:bootstrappers", DEFAULT_TOKEN_GROUP),
    node: as("system:node:n1", "system:nodes"),
    keeper: (nodeName = "n1", address = "10.0.0.7") =>
      CertificateKeeper.open({ directory, nodeName, address, clock, random, log: silent }),
    /** Time passes until it has settled. */
    async passing<T>(promise: Promise<T>): Promise<T> {
      let settled = false;
      const done = () => void (settled = true);
      promise.then(done, done);
      await clock.advanceUntil(() => settled);
      return promise;
    },
    async end() {
      stop.abort();
      await controllers;
      await server.close();
      await store.close();
      rmSync(directory, { recursive: true, force: true });
      expect(clock.pending).toBe(0);
    },
  };
}

let c: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  c = await start();
});
afterEach(() => c.end());

const until = (pem: string | undefined) => Date.parse(new X509Certificate(pem ?? "").validTo);

describe("a node's certificates", () => {
  test("K1, K2: the first is asked for as who joins, and kept with its key for the owner only", async () => {
    const keeper = await c.keeper();
    expect(keeper.known).toBe(false);
    await c.passing(keeper.join(c.bootstrap, c.stop.signal));
    const cert = new X509Certificate(keeper.client.current?.cert ?? "");
    expect(cert.subject).toBe("O=system:nodes\nCN=system:node:n1");
    expect(cert.checkIssued(new X509Certificate(c.ca.cert))).toBe(true);
    expect(readdirSync(c.directory)).toEqual(["client-current.pem"]);
    expect(statSync(join(c.directory, "client-current.pem")).mode & 0o777).toBe(0o600);
    const [request] = (await c.admin.resource(certificateSigningRequests).list()).items;
    expect(Buffer.from(request?.spec.request ?? "", "base64").toString()).not.toContain("PRIVATE");
    expect((await c.keeper()).client.current).toEqual(keeper.client.current);
  });

  test("K2: who was killed while it waited finds what it had asked for", async () => {
    const key = await pendingKey(c.directory, "client");
    const wanted = wantedOf("client", { nodeName: "n1", address: "10.0.0.7" });
    const asking = { client: c.bootstrap, clock: c.clock, purpose: "client", key, wanted } as const;
    const cert = await c.passing(askForCertificate(asking, c.stop.signal)); // and then, before it is written, the end
    const keeper = await c.keeper();
    await c.passing(keeper.join(c.bootstrap, c.stop.signal));
    expect(keeper.client.current).toEqual({ cert, key });
    expect((await c.admin.resource(certificateSigningRequests).list()).items).toHaveLength(1);
  });

  test("K2: who comes back at another address does not wait for what it asked before", async () => {
    const before = await c.keeper();
    await c.passing(before.join(c.bootstrap, c.stop.signal));
    const end = new AbortController();
    const run = before.run(c.node, end.signal);
    await c.clock.advance(MINUTE); // it waits for a Node with its address
    end.abort();
    await run;

    const keeper = await c.keeper("n1", "10.0.0.8");
    const again = keeper.run(c.node, c.stop.signal);
    const addresses = [
      { type: "InternalIP", address: "10.0.0.8" },
      { type: "Hostname", address: "n1" },
    ];
    await c.admin.resource(nodes).create({ metadata: { name: "n1" }, status: { addresses } });
    await c.clock.advanceUntil(() => keeper.serving.current !== undefined);
    expect(new X509Certificate(keeper.serving.current?.cert ?? "").subjectAltName).toContain("IP Address:10.0.0.8");
    c.stop.abort();
    await again;
  });

  test("nobody decides: what was waited for is said", async () => {
    const wanted = wantedOf("serving", { nodeName: "n1", address: "10.0.0.7" });
    const key = await pendingKey(c.directory, "serving");
    const asking = { client: c.node, clock: c.clock, purpose: "serving", key, wanted } as const;
    const asked = askForCertificate(asking, c.stop.signal).catch(String);
    await c.clock.advanceUntil(() => asked.then(() => true), 0, MINUTE);
    expect(await asked).toMatch(/^Error: nobody decided on the request node-csr-[0-9a-f]{40} within 15 minutes$/);
  });

  test("a name that another machine has is refused, with what to do; and asked for again when it is free", async () => {
    await c.admin.resource(nodes).create({ metadata: { name: "n1" } });
    const keeper = await c.keeper();
    await expect(c.passing(keeper.join(c.bootstrap, c.stop.signal))).rejects.toThrow(
      "a node named n1 exists already; choose another name with --node-name, or if it is gone: mini-kube node remove n1",
    );
    await c.admin.resource(nodes).delete("n1");
    await c.passing(keeper.join(c.bootstrap, c.stop.signal));
    expect(keeper.known).toBe(true);
  });

  test("both are renewed before their end, handed on, and a serving one waits for the Node's addresses", async () => {
    const keeper = await c.keeper();
    await c.passing(keeper.join(c.bootstrap, c.stop.signal));
    const run = keeper.run(c.node, c.stop.signal);
    await c.clock.advance(MINUTE);
    expect(keeper.serving.current).toBeUndefined();
    const addresses = [
      { type: "InternalIP", address: "10.0.0.7" },
      { type: "Hostname", address: "n1" },
    ];
    await c.admin.resource(nodes).create({ metadata: { name: "n1" }, status: { addresses } });
    await c.clock.advanceUntil(() => keeper.serving.current !== undefined);
    const served: string[] = [];
    using _uses = keeper.serving.onChange(({ cert }) => served.push(cert));
    const before = [until(keeper.client.current?.cert), until(keeper.serving.current?.cert)];
    expect(before.every((t) => t > c.clock.now() + HOUR - 2 * MINUTE)).toBe(true);
    await c.clock.advance(40 * MINUTE);
    expect(served).toEqual([]);
    await c.clock.advance(15 * MINUTE);
    await c.clock.advanceUntil(() => served.length > 0 && until(keeper.client.current?.cert) > (before[0] ?? 0));
    expect(c.clock.now()).toBeLessThan(Math.min(...before));
    expect(served).toEqual([keeper.serving.current?.cert]);
    expect(until(served[0])).toBeGreaterThan(before[1] ?? 0);
    c.stop.abort();
    await run;
  });

  test("one that the cluster takes for nobody's is forgotten, here and on the disk, until there is another", async () => {
    const keeper = await c.keeper();
    await c.passing(keeper.join(c.bootstrap, c.stop.signal));
    const refused = keeper.client.current;
    await keeper.forget();
    expect([keeper.known, (await c.keeper()).known]).toEqual([false, false]);
    await c.clock.advance(MINUTE); // until then the name is the first one's, whose Node may be about to come
    await c.passing(keeper.join(c.bootstrap, c.stop.signal));
    expect([keeper.known, (await c.keeper()).known]).toEqual([true, true]);
    expect(keeper.client.current?.key).not.toBe(refused?.key);
  });

  test("what is on the disk and is not whole, or another node's, is as nothing", async () => {
    const keeper = await c.keeper();
    await c.passing(keeper.join(c.bootstrap, c.stop.signal));
    expect((await c.keeper("n2")).known).toBe(false);
    const file = join(c.directory, "client-current.pem");
    const whole = readFileSync(file, "utf8");
    for (const broken of [
      "",
      whole.slice(0, 300),
      whole.slice(0, -40),
      whole.slice(whole.indexOf("-----BEGIN PRIV")),
    ]) {
      writeFileSync(file, broken);
      expect((await c.keeper()).known).toBe(false);
    }
  });
});

test("the rights of a token's bearer: a node's first certificate, and nothing else", () => {
  const { stringData = {} } = bootstrapTokenSecret({ id: "abc123", secret: "0123456789abcdef" });
  const groups = ["system:bootstrappers", stringData["auth-extra-groups"] ?? ""];
  const user = { name: "system:bootstrap:abc123", groups };
  const may = (verb: string, apiGroup: string, resource: string, subresource = "") =>
    decide(onResource(user, verb, { apiGroup, resource, subresource }), c.server.view).allowed;
  const requests = ["certificates.k8s.io", "certificatesigningrequests"] as const;
  expect([may("create", ...requests), may("watch", ...requests), may("create", ...requests, "nodeclient")]).toEqual([
    true,
    true,
    true,
  ]);
  expect([may("create", ...requests, "selfnodeclient"), may("update", ...requests, "approval")]).toEqual([
    false,
    false,
  ]);
  expect([may("list", "", "nodes"), may("list", "", "secrets"), may("get", "", "pods")]).toEqual([false, false, false]);
});
