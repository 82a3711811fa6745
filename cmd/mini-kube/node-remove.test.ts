import { expect, test } from "@jest/globals";
import { certificateSigningRequests } from "../../pkg/api/kinds/certificates/certificatesigningrequest.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { isRemoved, REMOVED_NODES } from "../../pkg/api/removed-nodes.ts";
import { encodeBase64 } from "../../pkg/api/validation/data.ts";
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { Client } from "../../pkg/client/client.ts";
import { MemoryStore } from "../../pkg/store/memory.ts";
import { seededRandom } from "../../pkg/util/clock.ts";
import { FakeClock } from "../../pkg/util/fake-clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { certificateRequest, newPrivateKey } from "../../pkg/util/pki-request.ts";
import { certificateAuthority, createCa } from "../../pkg/util/pki.ts";
import { removeNode } from "./node-remove.ts";

const AHEAD_MS = 600_000;
const signerName = "kubernetes.io/kube-apiserver-client-kubelet";
const usages = ["digital signature", "client auth"];

async function start() {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock, random: seededRandom(1), log: silent });
  const admin = new Client(server.transport(), "test");
  const ca = await createCa("test", clock.now());
  const authority = certificateAuthority(ca, { now: () => clock.now() + AHEAD_MS });
  const requests = admin.resource(certificateSigningRequests);
  /** What a node has asked for, as `username`. */
  const ask = async (name: string, node: string, username = `system:node:${node}`) => {
    const as = new Client(server.transport({ name: username, groups: ["system:authenticated"] }), "kubelet");
    const names = { commonName: `system:node:${node}`, organizations: ["system:nodes"] };
    const request = encodeBase64(await certificateRequest(newPrivateKey(), names));
    await as.resource(certificateSigningRequests).create({ metadata: { name }, spec: { request, signerName, usages } });
  };
  /** By a clock that is ahead; when, by that. */
  const sign = async (name: string): Promise<number> => {
    const csr = await requests.get(name);
    const conditions = [{ type: "Approved", status: "True", reason: "Test" }];
    const approved = { ...csr, status: { conditions } };
    await requests.subresource(name, "approval", approved, "update");
    const pem = await authority.sign(Buffer.from(csr.spec.request, "base64").toString(), { usages, seconds: 3600 });
    const now = await requests.get(name);
    await requests.updateStatus({ ...now, status: { ...now.status, certificate: encodeBase64(pem) } });
    return clock.now() + AHEAD_MS;
  };
  await admin.resource(nodes).create({ metadata: { name: "n1" } });
  return {
    ask,
    sign,
    requests,
    remove: (serverTime = async () => clock.now()) =>
      removeNode("n1", {
        client: admin,
        clock,
        serverTime,
        timeoutMs: 1000,
        force: false,
        deleteEmptydirData: false,
        say: () => {},
        signal: new AbortController().signal,
      }),
    removed: async () => (await admin.resource(configMaps, REMOVED_NODES.namespace).get(REMOVED_NODES.name)).data,
    now: () => clock.now(),
    async [Symbol.asyncDispose]() {
      await server.close();
      await store.close();
    },
  };
}

test("a certificate of a signer whose clock is ahead is refused, too; what was asked for goes, and only of that node", async () => {
  await using c = await start();
  await c.ask("first", "n1", "system:bootstrap:abc123");
  await c.ask("renewed", "n1");
  await c.ask("other", "n2");
  const issued = await c.sign("first");
  await c.sign("other");
  await c.remove();
  const data = await c.removed();
  expect([isRemoved(data, "n1", issued), isRemoved(data, "n1", issued + 1000)]).toEqual([true, false]);
  expect(isRemoved(data, "n2", c.now())).toBe(false);
  expect((await c.requests.list()).items.map((r) => r.metadata.name)).toEqual(["first", "other"]);
});

test("one that is signed while the node is removed is refused, too", async () => {
  await using c = await start();
  await c.ask("renewed", "n1");
  let issued: number | undefined;
  await c.remove(async () => {
    // Asked for after the requests were listed.
    issued ??= await c.sign("renewed");
    return c.now();
  });
  expect(isRemoved(await c.removed(), "n1", issued ?? 0)).toBe(true);
  expect((await c.requests.list()).items).toEqual([]);
});

test("without any, what was issued until now is refused", async () => {
  await using c = await start();
  await c.remove();
  const data = await c.removed();
  expect([isRemoved(data, "n1", c.now()), isRemoved(data, "n1", c.now() + 1000)]).toEqual([true, false]);
});
