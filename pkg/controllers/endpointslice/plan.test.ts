import { describe, expect, it, test } from "@jest/globals";
import fc from "fast-check";
import type { EndpointSlice } from "../../api/generated/types.ts";
import { MAX_ENDPOINTS, planSlices, type SlicePlan, type SliceTemplate } from "./plan.ts";
import type { PortGroup, WantedEndpoint } from "./wanted.ts";

const template: SliceTemplate = {
  name: "web",
  namespace: "default",
  labels: { "kubernetes.io/service-name": "web" },
  owner: { apiVersion: "v1", kind: "Service", name: "web", uid: "u", controller: true, blockOwnerDeletion: true },
  addressType: "IPv4",
};

const endpoint = (n: number, ready = true): WantedEndpoint => ({
  endpoint: {
    addresses: [`10.0.${n >> 8}.${n & 255}`],
    conditions: { ready },
    targetRef: { kind: "Pod", name: `p${n}`, uid: `uid-${n}` },
  },
  since: `2026-01-01T00:00:${String(n % 60).padStart(2, "0")}Z`,
});
const group = (port: number, ...numbers: readonly number[]): PortGroup => ({
  ports: [{ name: "", port, protocol: "TCP" }],
  endpoints: numbers.map((n) => endpoint(n)),
});
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** What the API server would hold afterwards. */
function apply(before: readonly EndpointSlice[], plan: SlicePlan, serial: { n: number }): EndpointSlice[] {
  const gone = new Set(plan.delete.map((s) => s.metadata.name));
  const updated = new Map(plan.update.map((s) => [s.metadata.name, s]));
  const created = plan.create.map((s) => ({ ...s, metadata: { ...s.metadata, name: `web-${serial.n++}` } }));
  return [
    ...before.filter((s) => !gone.has(s.metadata.name)).map((s) => updated.get(s.metadata.name) ?? s),
    ...created,
  ];
}
const writes = (p: SlicePlan) => [p.create.length, p.update.length, p.delete.length];
const sizes = (slices: readonly EndpointSlice[]) => slices.map((s) => s.endpoints?.length);

/** From nothing through these states, one after the other. */
function through(...states: readonly (readonly PortGroup[])[]) {
  const serial = { n: 0 };
  let slices: EndpointSlice[] = [];
  let plan = planSlices(template, [], []);
  for (const groups of states) {
    plan = planSlices(template, groups, slices);
    slices = apply(slices, plan, serial);
  }
  return { slices, plan };
}

describe("planSlices", () => {
  test.each<[what: string, states: (readonly PortGroup[])[], writes: number[], sizes: number[]]>([
    ["nothing there: a slice that says so", [[]], [1, 0, 0], [0]],
    ["the first endpoints go into that one", [[], [group(80, 1, 2)]], [0, 1, 0], [2]],
    ["nothing changed: nothing written", [[group(80, 1, 2)], [group(80, 2, 1)]], [0, 0, 0], [2]],
    ["all gone: it says so again", [[group(80, 1, 2)], []], [0, 1, 0], [0]],
    ["one more fits", [[group(80, 1)], [group(80, 1, 2)]], [0, 1, 0], [2]],
    ["a full slice is left alone", [[group(80, ...range(0, 100))], [group(80, ...range(0, 101))]], [1, 0, 0], [100, 1]],
    [
      "a replaced endpoint takes the place of the old one",
      [[group(80, ...range(0, 250))], [group(80, ...range(1, 250), 999)]],
      [0, 1, 0],
      [100, 100, 50],
    ],
    [
      "what is new goes where it fits best",
      [[group(80, ...range(0, 130))], [group(80, ...range(0, 130), 998, 999)]],
      [0, 1, 0],
      [100, 32],
    ],
    ["an emptied slice goes", [[group(80, ...range(0, 150))], [group(80, ...range(0, 100))]], [0, 0, 1], [100]],
    ["other ports: the old slice is used anew", [[group(80, 1, 2)], [group(81, 1, 2)]], [0, 1, 0], [2]],
    ["each set of ports has its own", [[group(80, 1), group(81, 2)]], [2, 0, 0], [1, 1]],
  ])("%s", (_, states, expected, expectedSizes) => {
    const { slices, plan } = through(...states);
    expect(writes(plan)).toEqual(expected);
    expect(sizes(slices)).toEqual(expectedSizes);
  });

  it("tells since when the new state holds: the earliest of what it changes", () => {
    const { slices } = through([group(80, 7)], [group(80, 7, 9, 8)]);
    expect(slices[0]?.metadata.annotations).toEqual({
      "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:08Z",
    });
  });

  it("writes what its owner's labels say", () => {
    const [slice] = through([group(80, 1)]).slices;
    const labels = { ...template.labels, team: "a" };
    const plan = planSlices({ ...template, labels }, [group(80, 1)], slice ? [slice] : []);
    expect(plan.update.map((s) => s.metadata.labels)).toEqual([labels]);
  });

  test("E1 E3 E4, whatever was there, and a second look finds nothing to do", () => {
    const numbers = fc.uniqueArray(fc.nat(600), { maxLength: 400 });
    const state = fc.tuple(numbers, fc.constantFrom(0, 1, 2), fc.func(fc.boolean())).map(([all, ports, ready]) =>
      range(0, ports + 1)
        .map((p) => {
          const own = all.filter((n) => n % (ports + 1) === p);
          return { ...group(80 + p), endpoints: own.map((n) => endpoint(n, ready(n))) };
        })
        .filter((g) => g.endpoints.length > 0),
    );
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 4 }), (states) => {
        const { slices } = through(...states);
        const last = states.at(-1) ?? [];
        const found = slices.flatMap((s) => (s.endpoints ?? []).map((e) => [s.ports?.[0]?.port, e] as const));
        const wanted = last.flatMap((g) => g.endpoints.map((w) => [g.ports[0]?.port, w.endpoint] as const));
        const byAddress = (all: typeof found) => all.map((x) => JSON.stringify(x)).toSorted();
        expect(byAddress(found)).toEqual(byAddress(wanted));
        expect(slices.length).toBeGreaterThan(0);
        expect(Math.max(...sizes(slices).map((n) => n ?? 0))).toBeLessThanOrEqual(MAX_ENDPOINTS);
        expect(wanted.length > 0 && sizes(slices).includes(0)).toBe(false);
        expect(writes(planSlices(template, last, slices))).toEqual([0, 0, 0]);
      }),
    );
  });

  test("E2: a change of k endpoints costs at most k writes", () => {
    const numbers = fc.uniqueArray(fc.nat(1_000), { minLength: 1, maxLength: 500 });
    fc.assert(
      fc.property(numbers, fc.uniqueArray(fc.nat(1_000), { minLength: 1, maxLength: 8 }), (before, toggled) => {
        const after = [...before.filter((n) => !toggled.includes(n)), ...toggled.filter((n) => !before.includes(n))];
        const { plan } = through([group(80, ...before)], after.length > 0 ? [group(80, ...after)] : []);
        const [create = 0, update = 0, remove = 0] = writes(plan);
        expect(create + update + remove).toBeLessThanOrEqual(toggled.length);
      }),
    );
  });
});
