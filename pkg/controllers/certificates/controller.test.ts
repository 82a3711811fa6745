import { expect, test } from "@jest/globals";
import { DEFAULT_TOKEN_GROUP } from "../../api/bootstrap-token.ts";
import { certificateSigningRequests } from "../../api/kinds/certificates/certificatesigningrequest.ts";
import { condition } from "../../api/pod.ts";
import { encodeBase64 } from "../../api/validation/data.ts";
import { ensurePolicy } from "../../apiserver/auth/ensure-policy.ts";
import { openAccess } from "../../apiserver/auth/open.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { certificateRequest, newPrivateKey } from "../../util/pki-request.ts";
import { certificateAuthority, createCa, newSigningKey } from "../../util/pki.ts";
import { runControllers } from "../controllers.ts";
import { KUBELET_CLIENT } from "./plan.ts";

test("a name that a leader gave away a moment before it lost its place is not given away again by the next", async () => {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock, random, log: silent });
  const admin = new Client(server.transport(), "test");
  openAccess(server, { key: newSigningKey(), random });
  await ensurePolicy(admin, server.view);
  await server.cache.fresh();
  const ca = await createCa("test", clock.now());
  const authority = certificateAuthority(ca, clock);
  const lead = () => {
    const stop = new AbortController();
    const running = runControllers(
      { client: admin, clock, log: silent, random, caCert: ca.cert, authority },
      stop.signal,
    );
    return async () => {
      stop.abort();
      await running;
    };
  };
  const groups = ["system:bootstrappers", DEFAULT_TOKEN_GROUP, "system:authenticated"];
  const machine = new Client(server.transport({ name: "system:bootstrap:abc123", groups }), "kubelet");
  const ask = async (name: string) => {
    const names = { commonName: "system:node:n1", organizations: ["system:nodes"] };
    const request = encodeBase64(await certificateRequest(newPrivateKey(), names));
    const spec = { request, signerName: KUBELET_CLIENT, usages: ["digital signature", "client auth"] };
    await machine.resource(certificateSigningRequests).create({ metadata: { name }, spec });
  };
  const requests = admin.resource(certificateSigningRequests);
  const decided = async (name: string) => {
    let said: string | undefined;
    await clock.advanceUntil(async () => {
      const { conditions } = (await requests.get(name)).status ?? {};
      said = (condition(conditions, "Approved") ?? condition(conditions, "Denied"))?.type;
      return said !== undefined;
    });
    return said;
  };

  await ask("first");
  const stepDown = lead();
  expect(await decided("first")).toBe("Approved");
  await stepDown();
  await ask("second");
  const end = lead();
  expect(await decided("second")).toBe("Denied");
  await clock.advance(60_000);
  await ask("third");
  expect(await decided("third")).toBe("Approved");
  await end();
  await server.close();
  await store.close();
});
