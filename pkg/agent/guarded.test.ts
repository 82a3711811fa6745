import { expect, test } from "@jest/globals";
import type { Node } from "../api/generated/types.ts";
import type { NodeContext } from "./context.ts";
import { Harness, NODE } from "./testing/harness.ts";

const network = { name: "mk-test", mtu: 1450, masquerade: false, useGateway: false };
const sandboxes = async (h: Harness) => (await h.runtime.listPods(new AbortController().signal)).length;

/** A node whose Pods have addresses, and are guarded so. */
async function joined(guarded: NonNullable<NodeContext["guarded"]>): Promise<Harness> {
  const h = new Harness({ agent: { network, guarded } });
  h.start();
  const node = () => h.api.get<Node>("nodes", undefined, NODE);
  await h.until(() => node() !== undefined);
  h.api.put("nodes", { ...node(), spec: { podCIDR: "10.244.7.0/24", podCIDRs: ["10.244.7.0/24"] } } as Node);
  return h;
}

test("nothing of a Pod is made before what guards it is in force, for the address it will have", async () => {
  const asked: string[] = [];
  let inForce = () => {};
  await using h = await joined((pod, ip) => {
    asked.push(`${pod.metadata.name} ${ip}`);
    return new Promise((resolve) => (inForce = resolve));
  });
  h.create("closed", [{}]);
  await h.until(() => asked.length > 0);
  await h.clock.advance(1_000);
  expect([asked, await sandboxes(h)]).toEqual([["closed 10.244.7.2"], 0]);
  inForce();
  await h.untilRunning("closed");
  expect(h.pod("closed")?.status?.podIP).toBe("10.244.7.2");
});

test("a Pod that cannot be guarded is not started, says why, and is tried again", async () => {
  let failures = 3;
  await using h = await joined(async () => {
    if (failures-- > 0) throw new Error("the network policies of the Pod are not in force yet");
  });
  h.create("closed", [{}]);
  await h.until(() => h.events("FailedCreatePodSandBox").length > 0);
  expect(h.events("FailedCreatePodSandBox")).toContain(
    "Failed to create pod sandbox: the network policies of the Pod are not in force yet",
  );
  expect(await sandboxes(h)).toBe(0);
  await h.untilRunning("closed");
});

test("Pods on the host's network have nothing to be guarded by", async () => {
  await using h = await joined(() => Promise.reject(new Error("not asked")));
  h.create("own", [{}], { hostNetwork: true });
  await h.untilRunning("own");
  expect(h.events("FailedCreatePodSandBox")).toEqual([]);
});
