import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Node } from "../../api/generated/types.ts";
import { overlaps, parseIpv4Cidr } from "../../util/ipv4.ts";
import { planCidrs } from "./plan.ts";

const cidr = (text: string) => parseIpv4Cidr(text) ?? { base: 0, prefix: 32 };
const node = (name: string, podCIDR?: string, creationTimestamp = "2026-01-01T12:00:00Z"): Node => ({
  metadata: { name, creationTimestamp },
  spec: { ...(podCIDR !== undefined && { podCIDR }) },
});
const plan = (nodes: Node[], range = "10.244.0.0/22", given: Record<string, string> = {}) => {
  const { assign, exhausted } = planCidrs(nodes, { cluster: cidr(range), prefix: 24 }, new Map(Object.entries(given)));
  return [
    ...assign.map((a) => `${a.node.metadata.name}=${a.cidr}`),
    ...exhausted.map((n) => `${n.metadata.name}: none`),
  ];
};

test.each<[string, Node[], string[]]>([
  ["the first", [node("a")], ["a=10.244.0.0/24"]],
  ["one beside others", [node("a", "10.244.0.0/24"), node("b")], ["b=10.244.1.0/24"]],
  ["what another left", [node("a", "10.244.1.0/24"), node("b")], ["b=10.244.0.0/24"]],
  ["the older first", [node("new", undefined, "2026-01-02"), node("old")], ["old=10.244.0.0/24", "new=10.244.1.0/24"]],
  ["none to who has", [node("a", "192.168.0.0/24")], []],
  ["around one of another size", [node("a", "10.244.0.0/23"), node("b")], ["b=10.244.2.0/24"]],
  [
    "as far as it goes",
    [1, 2, 3, 4, 5].map((n) => node(`n${n}`)),
    [...[0, 1, 2, 3].map((n) => `n${n + 1}=10.244.${n}.0/24`), "n5: none"],
  ],
])("a node gets %s", (_, nodes, expected) => {
  expect(plan(nodes)).toEqual(expected);
});

test("what was given and does not show yet is not given again", () => {
  expect(plan([node("a"), node("b")], "10.244.0.0/22", { a: "10.244.0.0/24" })).toEqual(["b=10.244.1.0/24"]);
});

describe("properties", () => {
  test("shares never overlap, lie in the range, and nobody goes without while there is one", () => {
    const some = fc.uniqueArray(fc.record({ id: fc.nat(40), share: fc.option(fc.nat(20), { nil: undefined }) }), {
      selector: (n) => n.id,
    });
    fc.assert(
      fc.property(some, (all) => {
        const seen = new Set<number>();
        const nodes = all.map(({ id, share }) => {
          const own = share !== undefined && !seen.has(share) ? share : undefined;
          if (own !== undefined) seen.add(own);
          return node(`n${id}`, own === undefined ? undefined : `10.244.${own}.0/24`);
        });
        const range = cidr("10.244.0.0/19");
        const { assign, exhausted } = planCidrs(nodes, { cluster: range, prefix: 24 });
        const held = nodes.flatMap((n) => n.spec?.podCIDR ?? []);
        const shares = [...held, ...assign.map((a) => a.cidr)].map(cidr);
        expect(assign.every((a) => overlaps(range, cidr(a.cidr)))).toBe(true);
        expect(new Set(shares.map((s) => s.base)).size).toBe(shares.length);
        expect(exhausted.length).toBe(Math.max(0, nodes.length - 32));
      }),
    );
  });
});
