import { afterEach, expect, test } from "@jest/globals";
import { MemoryStore } from "../../pkg/store/memory.ts";
import { agreeNetwork, type ClusterNetwork } from "./cluster-network.ts";

const open: ClusterNetwork[] = [];
const agree = async (...of: Parameters<typeof agreeNetwork>) => {
  const network = await agreeNetwork(...of);
  open.push(network);
  return network;
};
afterEach(() => open.splice(0).forEach((n) => n.close()));

test("clusters that start at the same moment do not choose the same; processes of one store have the same", async () => {
  const stores = [new MemoryStore(), new MemoryStore(), new MemoryStore()];
  const networks = await Promise.all(stores.map((store) => agree(store, {})));
  expect(new Set(networks.map((n) => n.podCidr)).size).toBe(3);
  expect(new Set(networks.map((n) => n.serviceCidr)).size).toBe(3);
  for (const [i, store] of stores.entries()) {
    const { podCidr, serviceCidr } = await agree(store, {});
    expect({ podCidr, serviceCidr }).toEqual({ podCidr: networks[i]?.podCidr, serviceCidr: networks[i]?.serviceCidr });
  }
});

test("what was chosen stays; what is asked for later and differs is refused", async () => {
  const store = new MemoryStore();
  const first = await agree(store, { podCidr: "10.33.0.0/16", serviceCidr: "10.34.0.0/16" });
  expect(first).toMatchObject({ podCidr: "10.33.0.0/16", apiServiceIp: "10.34.0.1" });
  first.close();
  expect((await agree(store, {})).podCidr).toBe("10.33.0.0/16");
  await expect(agree(store, { podCidr: "10.35.0.0/16" })).rejects.toThrow(
    "--pod-cidr 10.35.0.0/16: this cluster has 10.33.0.0/16 since its first start",
  );
});

test("a range that another cluster holds is refused by name, and free again when that ends", async () => {
  const other = await agree(new MemoryStore(), { podCidr: "10.36.0.0/16" });
  await expect(agree(new MemoryStore(), { podCidr: "10.36.0.0/16" })).rejects.toThrow(
    "--pod-cidr 10.36.0.0/16: another cluster of this machine has it",
  );
  other.close();
  expect((await agree(new MemoryStore(), { podCidr: "10.36.0.0/16" })).podCidr).toBe("10.36.0.0/16");
});
