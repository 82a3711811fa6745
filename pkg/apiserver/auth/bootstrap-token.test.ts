import { expect, test } from "@jest/globals";
import { secrets } from "../../api/kinds/core/secret.ts";
import { encodeBase64 } from "../../api/validation/data.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { viewOf } from "../admission/testing/requests.ts";
import { bootstrapTokenAuthenticator } from "./bootstrap-token.ts";

const TOKEN = "abc123.0123456789abcdef";
const GOOD = { "token-id": "abc123", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true" };

function show(token: string, data: object, o: { type?: string; namespace?: string; deletionTimestamp?: string } = {}) {
  const { type = "bootstrap.kubernetes.io/token", namespace = "kube-system", ...meta } = o;
  const encoded = Object.fromEntries(Object.entries(data).map(([k, v]) => [k, encodeBase64(String(v))]));
  const secret = { metadata: { name: "bootstrap-token-abc123", namespace, ...meta }, type, data: encoded };
  return bootstrapTokenAuthenticator(viewOf([secrets, secret]), new FakeClock())(token, ["api"]);
}

test("is a user of its own, in the group of all that join and those that its Secret names", async () => {
  const user = { name: "system:bootstrap:abc123", groups: ["system:bootstrappers"] };
  expect(await show(TOKEN, GOOD)).toEqual({ user, audiences: ["api"] });
  const extra = "system:bootstrappers:workers,system:bootstrappers:a:b";
  const until = "2026-01-02T00:00:00Z";
  expect((await show(TOKEN, { ...GOOD, expiration: until, "auth-extra-groups": extra }))?.user.groups).toEqual([
    "system:bootstrappers",
    "system:bootstrappers:workers",
    "system:bootstrappers:a:b",
  ]);
});

test.each<[string, object, Parameters<typeof show>[2]]>([
  ["unknown bootstrap token", { ...GOOD, "token-secret": "0123456789abcdee" }, {}],
  ["unknown bootstrap token", { ...GOOD, "token-secret": "" }, {}],
  ["unknown bootstrap token", { ...GOOD, "token-id": "abc124" }, {}],
  ["unknown bootstrap token", GOOD, { type: "Opaque" }],
  ["unknown bootstrap token", GOOD, { namespace: "default" }],
  ["unknown bootstrap token", GOOD, { deletionTimestamp: "2026-01-01T00:00:00Z" }],
  ["bootstrap token has expired", { ...GOOD, expiration: "2025-12-31T00:00:00Z" }, {}],
  ["bootstrap token has expired", { ...GOOD, expiration: "soon" }, {}],
  ["bootstrap token is not for that", { ...GOOD, "usage-bootstrap-authentication": "false" }, {}],
  ['bootstrap group "system:masters" is invalid', { ...GOOD, "auth-extra-groups": "system:masters" }, {}],
])("%s: %j %j", async (why, data, o) => {
  await expect(show(TOKEN, data, o)).rejects.toThrow(why);
});

test.each(["", "abc123", "abc123.", "ABC123.0123456789abcdef", `${TOKEN}x`, "a.b.c"])("%j is none", async (token) => {
  expect(await show(token, GOOD)).toBeUndefined();
});
