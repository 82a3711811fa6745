import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { startControlPlane } from "../testing/control-plane.ts";

async function start() {
  const plane = await startControlPlane();
  const maps = plane.client.resource(configMaps, "default");
  return {
    ...plane,
    maps,
    secrets: plane.client.resource(secrets, "default"),
    names: async () => (await maps.list()).items.map((o) => o.metadata.name).filter((n) => n !== "kube-root-ca.crt"),
    owner: async (name: string, finalizers: string[] = []) => {
      const { metadata } = await maps.create({ metadata: { name, finalizers } });
      return (blockOwnerDeletion = false) => ({
        ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name, uid: metadata.uid ?? "", blockOwnerDeletion }],
      });
    },
  };
}

let c: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  c = await start();
});
afterEach(() => c.end());

describe("garbage collector", () => {
  it("deletes what belonged to a deleted object, of whatever kind, down the line", async () => {
    const top = await c.owner("top");
    const { metadata } = await c.secrets.create({ metadata: { name: "middle", ...top() } });
    const ref = { apiVersion: "v1", kind: "Secret", name: "middle", uid: metadata.uid ?? "" };
    await c.maps.create({ metadata: { name: "bottom", ownerReferences: [ref] } });
    await c.maps.create({ metadata: { name: "other" } });
    await c.maps.delete("top");
    await c.clock.advance(1_000);
    expect(await c.names()).toEqual(["other"]);
    expect((await c.secrets.list()).items).toEqual([]);
  });

  it("orphans on request", async () => {
    const top = await c.owner("top");
    await c.maps.create({ metadata: { name: "child", ...top() } });
    await c.clock.advance(100);
    await c.maps.delete("top", { propagationPolicy: "Orphan" });
    await c.clock.advance(1_000);
    expect(await c.names()).toEqual(["child"]);
    expect((await c.maps.get("child")).metadata.ownerReferences).toBeUndefined();
  });

  it("in the foreground, keeps the owner until those who block it have gone", async () => {
    const top = await c.owner("top");
    await c.maps.create({ metadata: { name: "held", finalizers: ["example.com/hold"], ...top(true) } });
    await c.maps.create({ metadata: { name: "free", ...top(false) } });
    await c.clock.advance(100);
    await c.maps.delete("top", { propagationPolicy: "Foreground" });
    await c.clock.advance(1_000);
    expect(new Set(await c.names())).toEqual(new Set(["held", "top"]));
    const { metadata } = await c.maps.get("held");
    expect(metadata.deletionTimestamp).toBeDefined();
    await c.maps.patch("held", "application/merge-patch+json", { metadata: { finalizers: null } });
    await c.clock.advance(1_000);
    expect(await c.names()).toEqual([]);
  });

  it("deletes what refers to an owner that never was, or was another of that name", async () => {
    const top = await c.owner("top");
    const [ref] = top().ownerReferences;
    await c.maps.create({ metadata: { name: "stranger", ownerReferences: [{ ...ref, uid: "another" } as never] } });
    await c.clock.advance(1_000);
    expect(await c.names()).toEqual(["top"]);
  });
});
