import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { bootstrapTokenSecret, CLUSTER_INFO } from "../../api/bootstrap-token.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { nameOf } from "../../api/object.ts";
import { rfc3339 } from "../../util/clock.ts";
import { isSignedBy } from "../../util/detached-jws.ts";
import { startControlPlane } from "../testing/control-plane.ts";

const HOUR = 3_600_000;
const token = { id: "abc123", secret: "0123456789abcdef" };

async function start() {
  const plane = await startControlPlane();
  const maps = plane.client.resource(configMaps, CLUSTER_INFO.namespace);
  const tokens = plane.client.resource(secrets, "kube-system");
  const data = async (): Promise<Readonly<Record<string, string>>> => (await maps.get(CLUSTER_INFO.name)).data ?? {};
  const signed = async (id: string) => (await data())[`jws-kubeconfig-${id}`];
  return { ...plane, maps, tokens, data, signed };
}

let c: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  c = await start();
  await c.maps.create({ metadata: CLUSTER_INFO, data: { kubeconfig: "one", note: "of a person" } });
});
afterEach(() => c.end());

test("every token signs what is published, anew when that changes, and not when the token is gone", async () => {
  await c.tokens.create(bootstrapTokenSecret(token));
  await c.clock.advanceUntil(async () => (await c.signed(token.id)) !== undefined);
  expect(await isSignedBy((await c.signed(token.id)) ?? "", "one", token)).toBe(true);
  await c.maps.patch(CLUSTER_INFO.name, "application/merge-patch+json", { data: { kubeconfig: "two" } });
  await c.clock.advanceUntil(async () => isSignedBy((await c.signed(token.id)) ?? "", "two", token));
  await c.tokens.delete("bootstrap-token-abc123");
  await c.clock.advanceUntil(async () => (await c.signed(token.id)) === undefined);
  expect(await c.data()).toEqual({ kubeconfig: "two", note: "of a person" });
});

test("at its end a token signs no longer and is removed; one without end, and other Secrets, stay", async () => {
  const expiration = rfc3339(c.clock.now() + HOUR);
  await c.tokens.create(bootstrapTokenSecret({ ...token, expiration }));
  await c.tokens.create(bootstrapTokenSecret({ id: "zzz999", secret: token.secret }));
  await c.tokens.create({ metadata: { name: "bootstrap-token-other" }, stringData: { expiration } });
  await c.clock.advanceUntil(async () => (await c.signed(token.id)) !== undefined);
  await c.clock.advance(HOUR - 5_000);
  expect((await c.tokens.list()).items.map(nameOf)).toContain("bootstrap-token-abc123");
  await c.clock.advance(10_000);
  expect((await c.tokens.list()).items.map(nameOf)).toEqual(["bootstrap-token-other", "bootstrap-token-zzz999"]);
  await c.clock.advanceUntil(async () => (await c.signed(token.id)) === undefined);
  expect(Object.keys(await c.data()).toSorted()).toEqual(["jws-kubeconfig-zzz999", "kubeconfig", "note"]);
});

test("a token that is not for signing does not sign", async () => {
  const { stringData, ...rest } = bootstrapTokenSecret(token);
  await c.tokens.create({ ...rest, stringData: { ...stringData, "usage-bootstrap-signing": "false" } });
  await c.tokens.create(bootstrapTokenSecret({ id: "zzz999", secret: token.secret }));
  await c.clock.advanceUntil(async () => (await c.signed("zzz999")) !== undefined);
  expect(await c.signed(token.id)).toBeUndefined();
});
