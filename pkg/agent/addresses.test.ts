import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { networkOf, parseIpv4, parseIpv4Cidr } from "../util/ipv4.ts";
import { pickAddress, PodAddresses, type Tenant } from "./addresses.ts";

const subnet = parseIpv4Cidr("10.244.3.0/29") ?? { base: 0, prefix: 32 };
const pod = (uid: string, o: { podIP?: string; phase?: string } = {}): Tenant => ({
  uid,
  pod: {
    metadata: { uid },
    spec: { containers: [] },
    status: { phase: o.phase ?? "Pending", ...(o.podIP !== undefined && { podIP: o.podIP }) },
  },
  actual: undefined,
});
const sandboxed = (uid: string, ip: string): Tenant => ({
  uid,
  pod: undefined,
  actual: {
    uid,
    name: uid,
    namespace: "default",
    sandbox: { id: "s", state: "running", ip, createdAt: 0, attempt: 0 },
    containers: [],
  },
});

describe("PodAddresses", () => {
  test("N1: each Pod gets one of its own until none is left, and the error names the range", () => {
    const tenants = ["a", "b", "c", "d", "e", "f"].map((uid) => pod(uid));
    const addresses = new PodAddresses(() => tenants);
    const given = tenants.slice(0, 5).map((t) => addresses.assign(t.uid, subnet));
    expect(given).toEqual([2, 3, 4, 5, 6].map((n) => `10.244.3.${n}`));
    expect(() => addresses.assign("f", subnet)).toThrow(
      "no IP addresses available in range set: 10.244.3.2-10.244.3.6",
    );
    tenants.splice(1, 1);
    expect(addresses.assign("f", subnet)).toBe("10.244.3.3");
  });

  test("N2: a Pod keeps its address, under a new agent too; what orphans still have is not given out", () => {
    const tenants = [pod("old", { podIP: "10.244.3.4" }), sandboxed("orphan", "10.244.3.2"), pod("new")];
    const addresses = new PodAddresses(() => tenants);
    expect(addresses.assign("new", subnet)).toBe("10.244.3.3");
    expect(addresses.assign("old", subnet)).toBe("10.244.3.4");
    expect(addresses.assign("new", subnet)).toBe("10.244.3.3");
  });

  test("N3: what was given back is given out last; what has ended holds nothing", () => {
    const tenants: Tenant[] = [pod("a"), pod("done", { podIP: "10.244.3.3", phase: "Succeeded" })];
    const addresses = new PodAddresses(() => tenants);
    expect(addresses.assign("a", subnet)).toBe("10.244.3.2");
    tenants.splice(0, 1, pod("b"));
    expect(addresses.assign("b", subnet)).toBe("10.244.3.3");
  });

  test("an address that the runtime refused is not insisted on", () => {
    const addresses = new PodAddresses(() => [pod("a")]);
    expect(addresses.assign("a", subnet)).toBe("10.244.3.2");
    addresses.refuse("a");
    expect(addresses.assign("a", subnet)).toBe("10.244.3.3");
  });
});

test("what is picked is a free host address of the network, and there is one as long as one is free", () => {
  const any = fc.record({
    base: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    prefix: fc.integer({ min: 26, max: 30 }),
    taken: fc.array(fc.integer({ min: 0, max: 64 }), { maxLength: 70 }),
    after: fc.option(fc.integer({ min: 0, max: 64 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(any, ({ base, prefix, taken, after }) => {
      const net = networkOf(base, prefix);
      const at = (n: number) => [24, 16, 8, 0].map((s) => ((net.base + n) >>> s) & 255).join(".");
      const held = new Set(taken.map(at));
      const picked = pickAddress(net, { taken: held, after: after === undefined ? undefined : at(after) });
      const size = 2 ** (32 - prefix);
      const free = Array.from({ length: size - 3 }, (_, i) => at(i + 2)).filter((a) => !held.has(a));
      expect(free.length === 0 ? [undefined] : free).toContain(picked);
      expect(picked === undefined || parseIpv4(picked) !== undefined).toBe(true);
    }),
  );
});
