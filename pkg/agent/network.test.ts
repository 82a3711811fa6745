import { describe, expect, test } from "@jest/globals";
import type { Node } from "../api/generated/types.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import type { NetworkOptions } from "./network.ts";
import { Harness, NODE } from "./testing/harness.ts";

const network: NetworkOptions = { name: "mk-test", mtu: 1450, masquerade: false, useGateway: false };

const nodeOf = (h: Harness) => h.api.get<Node>("nodes", undefined, NODE);
const unavailable = (h: Harness) => nodeOf(h)?.status?.conditions?.find((c) => c.type === "NetworkUnavailable");

/** As the controller that hands out the addresses. */
function give(h: Harness, podCIDR: string): void {
  const node = nodeOf(h);
  if (!node) throw new Error("no node");
  h.api.put("nodes", { ...node, spec: { ...node.spec, podCIDR, podCIDRs: [podCIDR] } } as Node);
}

async function joined(o: { network?: Partial<NetworkOptions> } = {}): Promise<Harness> {
  const h = new Harness({ agent: { network: { ...network, ...o.network } } });
  h.start();
  await h.until(() => nodeOf(h) !== undefined);
  return h;
}

describe("the network of a node's Pods", () => {
  test("is made of the node's share; Pods have addresses of it, in turn", async () => {
    await using h = await joined();
    give(h, "10.244.7.0/24");
    h.create("a", [{}]);
    await h.untilRunning("a");
    h.create("b", [{}]);
    await h.untilRunning("b");
    expect(h.runtime.world.network).toEqual({
      name: "mk-test",
      subnet: "10.244.7.0/24",
      gateway: "10.244.7.1",
      mtu: 1450,
      masquerade: false,
    });
    expect([h.pod("a"), h.pod("b")].map((p) => p?.status?.podIP)).toEqual(["10.244.7.2", "10.244.7.3"]);
    await h.until(() => unavailable(h)?.status === "False");
    expect(unavailable(h)?.message).toBe("Pods have addresses of 10.244.7.0/24 on the bridge mk-test");
  });

  test("W1: before it is there Pods wait and say why; a Pod of the host's network does not", async () => {
    await using h = await joined();
    h.create("own", [{}], { hostNetwork: true });
    await h.untilRunning("own");
    h.create("a", [{}]);
    await h.until(() => h.events("FailedCreatePodSandBox").length > 0);
    const why = "network is not ready: the node has not been given its addresses (spec.podCIDR) yet";
    expect(h.events("FailedCreatePodSandBox")).toContain(`Failed to create pod sandbox: ${why}`);
    await h.until(() => unavailable(h)?.status === "True", 400_000);
    give(h, "10.244.7.0/24");
    await h.untilRunning("a");
  });

  test("a runtime that refuses it is asked again, and the node says what it said", async () => {
    await using h = await joined();
    h.runtime.failNext("ensureNetwork", new RuntimeError("RuntimeError", "Pool overlaps with other one"), 30);
    give(h, "10.244.7.0/24");
    await h.until(() => unavailable(h)?.status === "True");
    expect(unavailable(h)).toMatchObject({ reason: "NetworkNotReady", message: "Pool overlaps with other one" });
    h.runtime.forgetFailures("ensureNetwork");
    await h.until(() => unavailable(h)?.status === "False");
  });

  test("what the machine lacks stands on the node; its Pods run all the same", async () => {
    await using h = await joined({ network: { lacks: "Services are out of reach: install nftables" } });
    give(h, "10.244.7.0/24");
    h.create("a", [{}]);
    await h.untilRunning("a");
    await h.until(() => unavailable(h) !== undefined);
    expect(unavailable(h)).toMatchObject({ status: "False", reason: "NetworkLimited" });
    expect(unavailable(h)?.message).toContain("install nftables");
  });

  test("N2: a Pod keeps its address through the death of its sandbox, and of the agent", async () => {
    await using h = await joined();
    give(h, "10.244.7.0/24");
    h.create("a", [{}]);
    await h.untilRunning("a");
    h.create("b", [{}]);
    await h.untilRunning("b");
    h.runtime.killSandbox("b-uid");
    await h.until(() => h.pod("b")?.status?.containerStatuses?.[0]?.restartCount === 1);
    await h.untilRunning("b");
    expect(h.pod("b")?.status?.podIP).toBe("10.244.7.3");
    await h.stop();
    h.runtime.removeBehindBack("b-uid");
    h.start();
    h.create("c", [{}]);
    await h.untilRunning("c");
    await h.untilRunning("b");
    expect([h.pod("b"), h.pod("c")].map((p) => p?.status?.podIP)).toEqual(["10.244.7.3", "10.244.7.4"]);
  });

  test("where all addresses are given out, the next Pod says so, and runs as soon as one is given back", async () => {
    await using h = await joined();
    give(h, "10.244.7.0/30");
    h.create("a", [{}]);
    await h.untilRunning("a");
    h.create("b", [{}]);
    await h.until(() => h.events("FailedCreatePodSandBox").length > 0);
    expect(h.events("FailedCreatePodSandBox")[0]).toContain(
      "no IP addresses available in range set: 10.244.7.2-10.244.7.2",
    );
    h.api.deletePod("default", "a", 0);
    await h.untilRunning("b");
    expect(h.pod("b")?.status?.podIP).toBe("10.244.7.2");
  });

  test("a Node that is made anew asks for the addresses that its Pods have", async () => {
    await using h = await joined();
    give(h, "10.244.7.0/24");
    h.create("a", [{}]);
    await h.untilRunning("a");
    await h.api.call({ verb: "delete", group: "", version: "v1", resource: "nodes", name: NODE, body: {} });
    await h.until(() => nodeOf(h) !== undefined);
    expect(nodeOf(h)?.spec).toMatchObject({ podCIDR: "10.244.7.0/24", podCIDRs: ["10.244.7.0/24"] });
  });
});
