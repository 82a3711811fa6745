import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { startControlPlane } from "../testing/control-plane.ts";

async function start() {
  const plane = await startControlPlane();
  const { client } = plane;
  return { ...plane, namespaces: client.resource(namespaces), pods: client.resource(pods, "shop") };
}

let c: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  c = await start();
  await c.namespaces.create({ metadata: { name: "shop" } });
  await c.clock.advance(0);
});
afterEach(() => c.end());

const accounts = async () =>
  (await c.client.resource(serviceAccounts).list()).items.map((o) => `${o.metadata.namespace}/${o.metadata.name}`);
const exists = async () => (await c.namespaces.list()).items.some((o) => o.metadata.name === "shop");

describe("namespace controller", () => {
  it("empties a namespace and lets go of it at once", async () => {
    const api = c.client.resource(configMaps, "shop");
    for (let i = 0; i < 3; i++) await api.create({ metadata: { name: `c${i}` }, data: {} });
    await c.namespaces.delete("shop");
    await c.clock.advance(500);
    expect(await exists()).toBe(false);
    expect((await c.client.resource(configMaps).list()).items.filter((o) => o.metadata.namespace === "shop")).toEqual(
      [],
    );
  });

  it("waits for Pods that end in their own time, and says so meanwhile", async () => {
    const spec = { containers: [{ name: "c", image: "busybox" }], nodeName: "n1" };
    await c.pods.create({ metadata: { name: "web" }, spec });
    await c.namespaces.delete("shop");
    await c.clock.advance(2_000);
    expect((await c.pods.get("web")).metadata.deletionGracePeriodSeconds).toBe(30);
    const remaining = (await c.namespaces.get("shop")).status?.conditions?.find(
      (x) => x.type === "NamespaceContentRemaining",
    );
    expect(remaining?.message).toBe("Some resources are remaining: pods. has 1 resource instances");

    await c.pods.delete("web", { gracePeriodSeconds: 0 }); // as its agent does when it has ended
    await c.clock.advance(5_000);
    expect(await exists()).toBe(false);
  });
});

describe("namespace defaults controller", () => {
  it("keeps `default` in every namespace that stays", async () => {
    expect(await accounts()).toEqual(
      expect.arrayContaining(["default/default", "kube-system/default", "shop/default"]),
    );
    const maps = c.client.resource(configMaps, "shop");
    expect((await maps.get("kube-root-ca.crt")).data).toEqual({ "ca.crt": "PEM" });
    await maps.patch("kube-root-ca.crt", "application/merge-patch+json", { data: { "ca.crt": "forged" } });
    await c.client.resource(serviceAccounts, "shop").delete("default");
    await c.clock.advance(100);
    expect(await accounts()).toContain("shop/default");
    expect((await maps.get("kube-root-ca.crt")).data).toEqual({ "ca.crt": "PEM" });
    await c.namespaces.delete("shop");
    await c.clock.advance(5_000);
    expect(await accounts()).not.toContain("shop/default");
  });
});
