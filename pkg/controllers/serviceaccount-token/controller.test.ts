import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { openAccess } from "../../apiserver/auth/open.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { clusterRoles } from "../../api/kinds/rbac/role.ts";
import { nameOf } from "../../api/object.ts";
import { decodeBase64 } from "../../api/validation/data.ts";
import { seededRandom } from "../../util/clock.ts";
import { newSigningKey } from "../../util/pki.ts";
import { startControlPlane } from "../testing/control-plane.ts";

async function start() {
  const plane = await startControlPlane();
  const { client, server } = plane;
  return {
    ...plane,
    access: openAccess(server, { key: newSigningKey(), random: seededRandom(1) }),
    accounts: client.resource(serviceAccounts, "default"),
    secrets: client.resource(secrets, "default"),
    roles: client.resource(clusterRoles),
  };
}

let c: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  c = await start();
});
afterEach(() => c.end());

describe("service account token controller", () => {
  const type = "kubernetes.io/service-account-token";
  const wanted = { name: "bot-token", annotations: { "kubernetes.io/service-account.name": "bot" } };
  const token = async () => decodeBase64((await c.secrets.get("bot-token")).data?.["token"] ?? "");
  const filled = () => c.clock.advanceUntil(async () => (await token()) !== "");
  const gone = () => c.clock.advanceUntil(async () => (await c.secrets.list()).items.length === 0);

  beforeEach(async () => {
    await c.accounts.create({ metadata: { name: "bot" } });
    await c.clock.advance(0);
    await c.secrets.create({ metadata: wanted, type });
    await filled();
  });

  it("fills the Secret with a token that holds as long as the Secret", async () => {
    const { data, metadata } = await c.secrets.get("bot-token");
    expect(data).toMatchObject({ "ca.crt": "UEVN", namespace: "ZGVmYXVsdA==" });
    expect(metadata.annotations?.["kubernetes.io/service-account.uid"]).toBe(
      (await c.accounts.get("bot")).metadata.uid,
    );
    const bearer = await token();
    const audiences = ["https://kubernetes.default.svc.cluster.local"];
    expect((await c.access.tokenOwner(bearer, audiences)).user.name).toBe("system:serviceaccount:default:bot");
    const claims = JSON.parse(Buffer.from(bearer.split(".")[1] ?? "", "base64url").toString()) as { exp: number };
    expect(claims.exp * 1000).toBeGreaterThan(c.clock.now() + 100 * 365 * 24 * 3_600_000);
    await c.secrets.delete("bot-token");
    await expect(c.access.tokenOwner(bearer, audiences)).rejects.toThrow("service account token has been invalidated");
  });

  it("removes it with its account, also when another of that name has come", async () => {
    await c.accounts.delete("bot");
    await c.accounts.create({ metadata: { name: "bot" } });
    await gone();
    expect((await c.accounts.list()).items.map(nameOf)).toContain("bot");
  });

  it("leaves other Secrets alone", async () => {
    await c.secrets.create({ metadata: { ...wanted, name: "mine" } });
    await c.accounts.delete("bot");
    await c.clock.advanceUntil(async () => (await c.secrets.list()).items.length === 1);
    expect((await c.secrets.get("mine")).data).toBeUndefined();
  });
});

describe("cluster role aggregation", () => {
  const rule = (resource: string) => ({ verbs: ["get"], apiGroups: [""], resources: [resource] });
  const part = (name: string, to: string, ...resources: string[]) =>
    c.roles.create({ metadata: { name, labels: { to } }, rules: resources.map(rule) });
  const of = (name: string, to: string, labels = {}) =>
    c.roles.create({
      metadata: { name, labels },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to } }] },
    });
  const resources = async (name: string) => ((await c.roles.get(name)).rules ?? []).flatMap((r) => r.resources ?? []);

  it("follows what is chosen, through other aggregated roles, each rule once", async () => {
    await of("outer", "outer");
    await of("inner", "inner", { to: "outer" });
    await part("b", "inner", "pods", "nodes");
    await part("a", "outer", "secrets", "pods");
    await c.clock.advanceUntil(async () => (await resources("outer")).length === 3);
    expect(await resources("inner")).toEqual(["pods", "nodes"]);
    expect(await resources("outer")).toEqual(["secrets", "pods", "nodes"]);
    await c.roles.delete("b");
    await c.clock.advanceUntil(async () => (await resources("outer")).length === 2);
    expect([await resources("inner"), await resources("outer")]).toEqual([[], ["secrets", "pods"]]);
  });

  it("takes back what somebody else writes into it", async () => {
    await of("all", "all");
    await part("p", "all", "pods");
    await c.clock.advanceUntil(async () => (await resources("all")).length === 1);
    await c.roles.patch("all", "application/merge-patch+json", { rules: [rule("secrets")] });
    await c.clock.advanceUntil(async () => (await resources("all")).join() === "pods");
    expect(await resources("all")).toEqual(["pods"]);
  });
});
