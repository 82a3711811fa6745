import { beforeEach, describe, expect, test } from "@jest/globals";
import type { ServiceAccount } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { rfc3339 } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { newSigningKey } from "../../util/pki.ts";
import { type Placed, viewOf } from "../admission/testing/requests.ts";
import { JwtKey, claimsOf } from "./jwt.ts";
import { type ClaimsOptions, ISSUER, ServiceAccountTokens, newClaims } from "./service-account-tokens.ts";

const key = new JwtKey(newSigningKey());
const account: ServiceAccount = { metadata: { name: "bot", namespace: "a", uid: "sa1" } };
const pod = { metadata: { name: "web", namespace: "a", uid: "p1" }, spec: { containers: [], nodeName: "n1" } };
const secret = { metadata: { name: "s", namespace: "a", uid: "s1" } };
const node = { metadata: { name: "n1", uid: "n1u" } };
const all: readonly Placed[] = [
  [serviceAccounts, account],
  [pods, pod],
  [secrets, secret],
  [nodes, node],
];
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

const tokensIn = (...objects: readonly Placed[]) => new ServiceAccountTokens({ key, view: viewOf(...objects), clock });
const claims = (o: Partial<ClaimsOptions> = {}) =>
  newClaims({ account, audiences: [ISSUER], seconds: 600, bound: {}, now: clock.now(), id: "id", ...o });
const show = (objects: readonly Placed[], o: Partial<ClaimsOptions> = {}, audiences = [ISSUER]) =>
  key.sign(claims(o)).then((token) => tokensIn(...objects).authenticate(token, audiences));

describe("a token", () => {
  test("claims what Kubernetes' do", async () => {
    const iat = clock.now() / 1000;
    const token = await tokensIn().issue(claims({ bound: { pod, node }, warnAfterSeconds: 60 }));
    expect(claimsOf(token)).toEqual({
      aud: [ISSUER],
      exp: iat + 600,
      iat,
      iss: ISSUER,
      jti: "id",
      "kubernetes.io": {
        namespace: "a",
        node: { name: "n1", uid: "n1u" },
        pod: { name: "web", uid: "p1" },
        serviceaccount: { name: "bot", uid: "sa1" },
        warnafter: iat + 60,
      },
      nbf: iat,
      sub: "system:serviceaccount:a:bot",
    });
  });

  test("is its account, with what it is bound to", async () => {
    const groups = ["system:serviceaccounts", "system:serviceaccounts:a"];
    const name = "system:serviceaccount:a:bot";
    const id = { "authentication.kubernetes.io/credential-id": ["JTI=id"] };
    expect(await show(all)).toEqual({ user: { name, uid: "sa1", groups, extra: id }, audiences: [ISSUER] });
    expect((await show(all, { bound: { pod, node } }))?.user.extra).toEqual({
      ...id,
      "authentication.kubernetes.io/pod-name": ["web"],
      "authentication.kubernetes.io/pod-uid": ["p1"],
      "authentication.kubernetes.io/node-name": ["n1"],
      "authentication.kubernetes.io/node-uid": ["n1u"],
    });
  });

  test.each([
    [["x", ISSUER], [ISSUER], [ISSUER]],
    [
      ["x", "y"],
      ["y", "x", "z"],
      ["y", "x"],
    ],
  ])("for %j shown to %j is meant for %j", async (audiences, asked, meant) => {
    expect((await show(all, { audiences }, asked))?.audiences).toEqual(meant);
  });
});

describe("a token is refused", () => {
  const old = { deletionTimestamp: rfc3339(Date.UTC(2025, 0, 1)) };
  const without = (kind: Placed[0]) => all.filter(([k]) => k !== kind);
  const changed = (kind: Placed[0], metadata: object): Placed[] =>
    all.map(([k, o]) => (k === kind ? [k, { ...o, metadata: { ...o.metadata, ...metadata } }] : [k, o]));
  test.each<[string, readonly Placed[], Partial<ClaimsOptions>]>([
    ['serviceaccounts "bot" not found', without(serviceAccounts), {}],
    ["service account UID (sa2) does not match claim (sa1)", changed(serviceAccounts, { uid: "sa2" }), {}],
    ["service account a/bot has been deleted", changed(serviceAccounts, old), {}],
    ["service account token has been invalidated", without(pods), { bound: { pod } }],
    [
      "pod UID (p2) does not match service account pod ref claim (p1)",
      changed(pods, { uid: "p2" }),
      { bound: { pod } },
    ],
    ["service account token has been invalidated", changed(pods, old), { bound: { pod } }],
    ["service account token has been invalidated", without(secrets), { bound: { secret } }],
    ["service account token has been invalidated", without(nodes), { bound: { node } }],
    [`token audiences ["x"] is invalid for the target audiences ["${ISSUER}"]`, all, { audiences: ["x"] }],
    ["service account token has expired", all, { now: Date.UTC(2025, 0, 1) }],
    ["service account token is not valid yet", all, { now: Date.UTC(2027, 0, 1) }],
  ])("%s", async (message, objects, o) => {
    await expect(show(objects, o)).rejects.toThrow(message);
  });

  test("when its time is over, though it was good before; a minute's difference of clocks is none", async () => {
    const tokens = tokensIn(...all);
    const token = await tokens.issue(claims());
    await clock.advance(659_000);
    expect((await tokens.authenticate(token, [ISSUER]))?.user.uid).toBe("sa1");
    await clock.advance(2_000);
    await expect(tokens.authenticate(token, [ISSUER])).rejects.toThrow("expired");
  });

  test("when somebody else signed it, or changed a byte of it", async () => {
    const tokens = tokensIn(...all);
    const forged = await new JwtKey(newSigningKey()).sign(claims());
    const [head = "", body = "", signature = ""] = (await tokens.issue(claims())).split(".");
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const other = encode({ ...claims(), sub: "system:serviceaccount:kube-system:admin" });
    const unsigned = encode({ alg: "none" });
    for (const token of [forged, `${head}.${other}.${signature}`, `${unsigned}.${body}.`, `${head}.${body}.AAAA`]) {
      await expect(tokens.authenticate(token, [ISSUER])).rejects.toThrow("invalid signature");
    }
  });

  test.each(["", "x", "a.b.c", "a..c", `a.${Buffer.from("[1]").toString("base64url")}.c`, "....", "a.e30.c"])(
    "not, for it is somebody else's to know: %j",
    async (token) => {
      expect(await tokensIn(...all).authenticate(token, [ISSUER])).toBeUndefined();
    },
  );
});

test("the published keys are public", async () => {
  const [jwk] = (key.jwks() as { keys: Record<string, string>[] }).keys;
  expect(Object.keys(jwk ?? {}).toSorted()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
  const [head = ""] = (await key.sign({})).split(".");
  expect(JSON.parse(Buffer.from(head, "base64url").toString())).toEqual({ alg: "ES256", kid: jwk?.["kid"] });
});
