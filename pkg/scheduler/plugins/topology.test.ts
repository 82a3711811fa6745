/** Spreading and affinity: Kubernetes' rules as tables, and the kept counts against a plain count over all Pods. */
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { Affinity, Node, PodAffinityTerm, TopologySpreadConstraint } from "../../api/generated/types.ts";
import { cacheOf, info, node, type pod } from "../fakes.ts";
import { findNode } from "../find-node.ts";
import { podInfo, type PodInfo } from "../pod-info.ts";
import { defaultProfile } from "../profile.ts";

const ZONE = "topology.kubernetes.io/zone";
const HOST = "kubernetes.io/hostname";
const labelSelector = { matchLabels: { app: "web" } };
const web = (name: string, labels: Record<string, string> = {}) => info(name, { labels: { app: "web", ...labels } });
const zoned = (name: string, zone: string, o: Parameters<typeof node>[1] = {}) =>
  node(name, { ...o, labels: { [ZONE]: zone, ...o.labels } });

type Options = Parameters<typeof pod>[1];
type Standing = Readonly<Record<string, readonly PodInfo[]>>;

/** Names of the nodes that would take the Pod. */
function takers(p: PodInfo, nodes: readonly Node[], on: Standing = {}): string {
  const cache = cacheOf(nodes, on);
  const takes = (name: string) =>
    findNode(defaultProfile, p, cache, { random: () => 0, nominated: name }).node?.name === name;
  return nodes
    .map((n) => n.metadata.name ?? "")
    .filter(takes)
    .join(" ");
}

/** The node chosen when several would do. */
function favourite(p: PodInfo, nodes: readonly Node[], on: Standing): string | undefined {
  return findNode(defaultProfile, p, cacheOf(nodes, on), { random: () => 0 }).node?.name;
}

describe("topologySpreadConstraints", () => {
  const spread = (c: Partial<TopologySpreadConstraint>, o: Options = {}) =>
    info("p", {
      labels: { app: "web" },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: "DoNotSchedule", labelSelector, ...c },
      ],
      ...o,
    });
  const two = [zoned("a", "z1"), zoned("b", "z2")];
  const ssd = [zoned("a", "z1", { labels: { disk: "ssd" } }), zoned("b", "z2")];
  const gpu = { key: "gpu", value: "true", effect: "NoSchedule" };
  const tainted = [zoned("a", "z1"), zoned("b", "z2", { taints: [gpu] })];
  const going = podInfo({
    ...web("q").pod,
    metadata: { ...web("q").pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
  });
  const cases: [what: string, p: PodInfo, nodes: readonly Node[], on: Standing, takers: string][] = [
    ["the emptier zone only", spread({}), two, { a: [web("q")] }, "b"],
    ["maxSkew gives leeway", spread({ maxSkew: 2 }), two, { a: [web("q")] }, "a b"],
    ["a node without the label takes nobody", spread({}), [...two, node("c")], {}, "a b"],
    [
      "minDomains: too few zones, so the least is none",
      spread({ minDomains: 3 }),
      two,
      { a: [web("q")], b: [web("r")] },
      "",
    ],
    ["minDomains: enough zones", spread({ minDomains: 2 }), two, { a: [web("q")], b: [web("r")] }, "a b"],
    ["Pods on their way out do not count", spread({}), two, { a: [going] }, "a b"],
    [
      "those of other namespaces do not count",
      spread({}),
      two,
      { a: [podInfo({ ...web("q").pod, metadata: { ...web("q").pod.metadata, namespace: "other" } })] },
      "a b",
    ],
    [
      "nodeAffinityPolicy Honor: nodes the Pod cannot have are no zones to level with",
      spread({}, { nodeSelector: { disk: "ssd" } }),
      ssd,
      { a: [web("q")] },
      "a",
    ],
    [
      "nodeAffinityPolicy Ignore: they are",
      spread({ nodeAffinityPolicy: "Ignore" }, { nodeSelector: { disk: "ssd" } }),
      ssd,
      { a: [web("q")] },
      "",
    ],
    ["nodeTaintsPolicy Ignore: a tainted zone counts", spread({}), tainted, { a: [web("q")] }, ""],
    ["nodeTaintsPolicy Honor: it does not", spread({ nodeTaintsPolicy: "Honor" }), tainted, { a: [web("q")] }, "a"],
    [
      "matchLabelKeys: each version for itself",
      spread({ matchLabelKeys: ["v"] }, { labels: { app: "web", v: "2" } }),
      two,
      { a: [web("q", { v: "1" })] },
      "a b",
    ],
    [
      "a Pod that its own selector leaves out does not count itself",
      spread({}, { labels: { app: "other" } }),
      two,
      { a: [web("q")] },
      "a b",
    ],
  ];
  it.each(cases)("%s", (_, p, nodes, on, expected) => {
    expect(takers(p, nodes, on)).toBe(expected);
  });

  it("a node must have the labels of all hard constraints to count for any", () => {
    const host = { maxSkew: 1, topologyKey: "rack", whenUnsatisfiable: "DoNotSchedule", labelSelector };
    const zone = { ...host, topologyKey: ZONE };
    const p = info("p", { labels: { app: "web" }, topologySpreadConstraints: [zone, host] });
    const nodes = [zoned("a", "z1", { labels: { rack: "r1" } }), zoned("b", "z2")];
    expect(takers(p, nodes, { a: [web("q")] })).toBe("a");
  });
});

describe("pod affinity and anti-affinity", () => {
  const near = (t: Partial<PodAffinityTerm>): Affinity => ({
    podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: ZONE, labelSelector, ...t }] },
  });
  const apart = (t: Partial<PodAffinityTerm>): Affinity => ({
    podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: ZONE, labelSelector, ...t }] },
  });
  const two = [zoned("a", "z1"), zoned("b", "z2")];
  const abroad = podInfo({ ...web("q").pod, metadata: { ...web("q").pod.metadata, namespace: "team-a" } });
  const both: Affinity = {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: ZONE, labelSelector },
        { topologyKey: ZONE, labelSelector: { matchLabels: { tier: "db" } } },
      ],
    },
  };
  const cases: [what: string, p: PodInfo, on: Standing, takers: string][] = [
    ["near", info("p", { affinity: near({}) }), { b: [web("q")] }, "b"],
    ["apart", info("p", { affinity: apart({}) }), { b: [web("q")] }, "a"],
    [
      "a standing Pod's anti-affinity holds for those it speaks of",
      web("p"),
      { a: [info("q", { affinity: apart({}) })] },
      "b",
    ],
    ["and for nobody else", info("p"), { a: [info("q", { affinity: apart({}) })] }, "a b"],
    ["other namespaces are not meant", info("p", { affinity: near({}) }), { b: [abroad] }, ""],
    ["unless named", info("p", { affinity: near({ namespaces: ["team-a"] }) }), { b: [abroad] }, "b"],
    [
      "an empty namespaceSelector means all",
      info("p", { affinity: near({ namespaceSelector: {} }) }),
      { b: [abroad] },
      "b",
    ],
    [
      "matchLabelKeys: Pods of the same version",
      info("p", { labels: { v: "1" }, affinity: apart({ matchLabelKeys: ["v"] }) }),
      { a: [web("q", { v: "1" })], b: [web("r", { v: "2" })] },
      "b",
    ],
    [
      "mismatchLabelKeys: Pods of other tenants",
      info("p", { labels: { v: "1" }, affinity: apart({ mismatchLabelKeys: ["v"] }) }),
      { a: [web("q", { v: "1" })], b: [web("r", { v: "2" })] },
      "a",
    ],
    [
      "all terms must be met by one Pod",
      info("p", { affinity: both }),
      { a: [web("q")], b: [web("r", { tier: "db" })] },
      "b",
    ],
    [
      "two Pods that meet a term each are not enough",
      info("p", { affinity: both }),
      { a: [web("q"), info("r", { labels: { tier: "db" } })] },
      "",
    ],
    ["the first of its kind may go anywhere", info("p", { labels: { app: "web" }, affinity: near({}) }), {}, "a b"],
  ];
  it.each(cases)("%s", (_, p, on, expected) => {
    expect(takers(p, two, on)).toBe(expected);
  });

  it("a namespaceSelector follows the labels of namespaces", () => {
    const cache = cacheOf(two, { b: [abroad] });
    const p = info("p", { affinity: near({ namespaceSelector: { matchLabels: { team: "a" } } }) });
    const chosen = () => findNode(defaultProfile, p, cache, { random: () => 0 }).node?.name;
    expect(chosen()).toBeUndefined();
    cache.setNamespace({ metadata: { name: "team-a", labels: { team: "a" } } });
    expect(chosen()).toBe("b");
    cache.setNamespace({ metadata: { name: "team-a", labels: { team: "b" } } });
    expect(chosen()).toBeUndefined();
  });

  const wish = (weight: number, kind: "podAffinity" | "podAntiAffinity"): Affinity => ({
    [kind]: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight, podAffinityTerm: { topologyKey: ZONE, labelSelector } },
      ],
    },
  });
  // Nobody is alone on its node, so that only the wishes tell the nodes apart.
  const company = { a: info("x"), b: info("y") };
  it.each<[string, PodInfo, Standing, string]>([
    ["its own liking", info("p", { affinity: wish(50, "podAffinity") }), { a: [company.a], b: [web("q")] }, "b"],
    ["its own dislike", info("p", { affinity: wish(50, "podAntiAffinity") }), { a: [web("q")], b: [company.b] }, "b"],
    [
      "the liking of those that stand",
      web("p"),
      { a: [company.a], b: [info("q", { affinity: wish(50, "podAffinity") })] },
      "b",
    ],
    ["their dislike", web("p"), { a: [info("q", { affinity: wish(50, "podAntiAffinity") })], b: [company.b] }, "b"],
    [
      "their need counts for a little liking",
      web("p"),
      { a: [company.a], b: [info("q", { affinity: near({}) })] },
      "b",
    ],
  ])("prefers by %s", (_, p, on, expected) => {
    expect(favourite(p, two, on)).toBe(expected);
  });
});

describe("whatever has come and gone, counts are those of a plain look at all Pods", () => {
  const placed = fc.record({
    node: fc.integer({ min: 0, max: 3 }),
    web: fc.boolean(),
    shy: fc.boolean(),
    gone: fc.boolean(),
  });
  const cluster = fc.array(placed, { maxLength: 20 });
  const nodes = [zoned("n0", "z0"), zoned("n1", "z0"), zoned("n2", "z1"), node("n3")];
  const shyness: Affinity = {
    podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: ZONE, labelSelector }] },
  };
  const zoneOf = (n: Node | undefined) => n?.metadata.labels?.[ZONE];

  it.each([true, false])("asked before: %s", (askedBefore) => {
    fc.assert(
      fc.property(cluster, (all) => {
        const cache = cacheOf(nodes);
        const p = info("p", {
          labels: { app: "web" },
          affinity: shyness,
          topologySpreadConstraints: [
            { maxSkew: 2, topologyKey: HOST, whenUnsatisfiable: "DoNotSchedule", labelSelector },
          ],
        });
        const decide = () => findNode(defaultProfile, p, cache, { random: () => 0 });
        if (askedBefore) decide();
        const stands = all.map((s, i) => ({
          ...s,
          info: info(`q${i}`, { ...(s.web && { labels: { app: "web" } }), ...(s.shy && { affinity: shyness }) }),
        }));
        for (const s of stands) cache.put(s.info, `n${s.node}`);
        for (const s of stands) if (s.gone) cache.remove(s.info.key);

        const here = stands.filter((s) => !s.gone);
        const webs = nodes.map((_, i) => here.filter((s) => s.web && s.node === i).length);
        const taken = (zone: string | undefined) =>
          here.some((s) => (s.web || s.shy) && zone !== undefined && zoneOf(nodes[s.node]) === zone);
        const possible = nodes
          .filter((n, i) => !taken(zoneOf(n)) && (webs[i] ?? 0) + 1 - Math.min(...webs) <= 2)
          .map((n) => n.metadata.name);
        const { node: chosen } = decide();
        expect(possible.length > 0).toBe(chosen !== undefined);
        expect([undefined, ...possible]).toContain(chosen?.name);
      }),
      { numRuns: 200 },
    );
  });
});
