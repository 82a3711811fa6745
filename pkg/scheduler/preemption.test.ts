import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { PodDisruptionBudget } from "../api/generated/types.ts";
import { seededRandom } from "../util/clock.ts";
import type { SchedulerCache } from "./cache.ts";
import { cacheOf, info, node, pod } from "./fakes.ts";
import { findNode } from "./find-node.ts";
import { podInfo, type PodInfo } from "./pod-info.ts";
import { planPreemption, type Preemption } from "./preemption.ts";
import { defaultProfile } from "./profile.ts";

type Options = Parameters<typeof pod>[1];
const HOST = "kubernetes.io/hostname";

/** A standing Pod of one CPU per default; `started` is a minute of a day. */
function standing(name: string, priority: number, o: Options & { cpu?: string; started?: number } = {}): PodInfo {
  const { cpu = "1", started = 0, ...rest } = o;
  const p = pod(name, { requests: { cpu }, priority, ...rest });
  return podInfo({ ...p, status: { startTime: `2026-01-01T00:${String(started).padStart(2, "0")}:00Z` } });
}

function budget(app: string, disruptionsAllowed: number): PodDisruptionBudget {
  const status = { disruptionsAllowed, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  return { metadata: { name: app, namespace: "default" }, spec: { selector: { matchLabels: { app } } }, status };
}

interface World {
  readonly budgets?: readonly PodDisruptionBudget[];
  readonly nominated?: string;
  readonly isVictim?: (p: PodInfo) => boolean;
}

function plan(incoming: PodInfo, cache: SchedulerCache, w: World = {}): Preemption {
  const decision = findNode(defaultProfile, incoming, cache, { random: () => 0 });
  if (decision.node) throw new Error(`${incoming.key} fits on ${decision.node.name}`);
  return planPreemption({
    profile: defaultProfile,
    pod: incoming,
    why: decision.why,
    cache,
    budgets: w.budgets ?? [],
    nominated: w.nominated,
    isVictim: w.isVictim ?? (() => false),
    random: () => 0,
  });
}

/** `n1: a b`, or why not. */
function told(p: Preemption): string {
  return p.node ? `${p.node.name}: ${p.victims.map((v) => v.key.split("/")[1]).join(" ")}` : p.message;
}

const urgent = (cpu: string, o: Options = {}) => info("urgent", { requests: { cpu }, priority: 100, ...o });
const nodes = (...names: string[]) => names.map((n) => node(n));
const web = { labels: { app: "web" } };
const avoidWeb: Options = {
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { labelSelector: { matchLabels: { app: "web" } }, topologyKey: HOST },
      ],
    },
  },
};

describe("who goes, and where", () => {
  const cases: [what: string, incoming: PodInfo, cache: SchedulerCache, world: World, outcome: string][] = [
    [
      "the least important, no more than needed",
      urgent("2"),
      cacheOf(nodes("n1"), { n1: [standing("a", 30), standing("b", 10), standing("c", 20), standing("d", 40)] }),
      {},
      "n1: c b",
    ],
    [
      "one big one rather than several small ones, when it is no more important",
      urgent("2"),
      cacheOf(nodes("n1"), {
        n1: [standing("a", 10), standing("b", 10), standing("big", 10, { cpu: "2", started: 5 })],
      }),
      {},
      "n1: big",
    ],
    [
      "among equals the one that started last",
      urgent("1"),
      cacheOf(nodes("n1"), {
        n1: [standing("old", 10, { cpu: "2", started: 1 }), standing("new", 10, { cpu: "2", started: 2 })],
      }),
      {},
      "n1: new",
    ],
    [
      "V3: no budget broken, though more important Pods go",
      urgent("4"),
      cacheOf(nodes("n1", "n2"), {
        n1: [standing("a", 10, { cpu: "4", ...web })],
        n2: [standing("b", 50, { cpu: "4" })],
      }),
      { budgets: [budget("web", 0)] },
      "n2: b",
    ],
    [
      "V3: the most important victim matters least",
      urgent("4"),
      cacheOf(nodes("n1", "n2"), {
        n1: [standing("a", 50, { cpu: "4" })],
        n2: [standing("b", 10, { cpu: "2" }), standing("c", 20, { cpu: "2" })],
      }),
      {},
      "n2: c b",
    ],
    [
      "V3: the smaller sum of priorities, which is fewer victims",
      urgent("4"),
      cacheOf(nodes("n1", "n2"), {
        n1: [standing("a", -10, { cpu: "2" }), standing("b", -10, { cpu: "2" })],
        n2: [standing("c", -10, { cpu: "4" })],
      }),
      {},
      "n2: c",
    ],
    [
      "V3: at last, the latest started",
      urgent("4"),
      cacheOf(nodes("n1", "n2"), {
        n1: [standing("a", 10, { cpu: "4", started: 3 })],
        n2: [standing("b", 10, { cpu: "4", started: 9 })],
      }),
      {},
      "n2: b",
    ],
    [
      "a budget that allows one end protects the second only",
      urgent("1"),
      cacheOf(nodes("n1"), {
        n1: [standing("a", 10, { cpu: "2", ...web }), standing("b", 10, { cpu: "2", ...web, started: 1 })],
      }),
      { budgets: [budget("web", 1)] },
      "n1: a",
    ],
    [
      "anti-affinity is a reason too, and only those go that are in the way",
      urgent("1", avoidWeb),
      cacheOf(nodes("n1"), { n1: [standing("web", 10, web), standing("other", 5)] }),
      {},
      "n1: web",
    ],
    [
      "equals and betters stay",
      urgent("4"),
      cacheOf(nodes("n1", "n2"), { n1: [standing("a", 100)], n2: [standing("b", 200), standing("c", 1)] }),
      {},
      "preemption: 0/2 nodes are available: 1 Insufficient cpu, 1 No preemption victims found for incoming pod.",
    ],
    [
      "nobody goes for a Pod that could not run there anyway",
      urgent("8"),
      cacheOf(nodes("n1"), { n1: [standing("a", 10)] }),
      {},
      "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    ],
    [
      "preemptionPolicy Never",
      urgent("4", { preemptionPolicy: "Never" }),
      cacheOf(nodes("n1"), { n1: [standing("a", 10)] }),
      {},
      "preemption: not eligible due to preemptionPolicy=Never.",
    ],
    [
      "one who waits for victims already",
      urgent("4"),
      cacheOf(nodes("n1", "n2"), { n1: [standing("going", 10)], n2: [standing("b", 5)] }),
      { nominated: "n1", isVictim: (p) => p.key === "default/going" },
      "preemption: not eligible due to a terminating pod on the nominated node.",
    ],
    [
      "but not on a node that has become useless meanwhile",
      urgent("4"),
      cacheOf([node("n1", { unschedulable: true }), node("n2")], {
        n1: [standing("going", 10)],
        n2: [standing("b", 5)],
      }),
      { nominated: "n1", isVictim: (p) => p.key === "default/going" },
      "n2: b",
    ],
  ];
  it.each(cases)("%s", (_, incoming, cache, world, outcome) => {
    expect(told(plan(incoming, cache, world))).toBe(outcome);
  });
});

const someone = fc.record({
  cpu: fc.integer({ min: 1, max: 4 }),
  priority: fc.integer({ min: 0, max: 4 }),
  started: fc.integer({ min: 0, max: 3 }),
  web: fc.boolean(),
  node: fc.integer({ min: 0, max: 2 }),
});
type Someone = typeof someone extends fc.Arbitrary<infer T> ? T : never;

/** Three nodes of four CPUs, none over-committed. */
function populate(all: readonly Someone[]): { cache: SchedulerCache; on: Map<string, PodInfo[]> } {
  const on = new Map<string, PodInfo[]>([
    ["n0", []],
    ["n1", []],
    ["n2", []],
  ]);
  const used = new Map<string, number>();
  for (const [i, s] of all.entries()) {
    const name = `n${s.node}`;
    if ((used.get(name) ?? 0) + s.cpu > 4) continue;
    used.set(name, (used.get(name) ?? 0) + s.cpu);
    on.get(name)?.push(standing(`p${i}`, s.priority, { cpu: String(s.cpu), started: s.started, ...(s.web && web) }));
  }
  return { cache: cacheOf(nodes(...on.keys()), Object.fromEntries(on)), on };
}

function subsets<T>(of: readonly T[]): T[][] {
  return of.reduce<T[][]>((all, x) => [...all, ...all.map((s) => [...s, x])], [[]]);
}

/** Whether the node takes the Pod once these have gone: asked of a cluster of its own. */
function fitsWithout(incoming: PodInfo, there: readonly PodInfo[], gone: readonly PodInfo[]): boolean {
  const cache = cacheOf([node("n")], { n: there.filter((p) => !gone.includes(p)) });
  return findNode(defaultProfile, incoming, cache, { random: () => 0 }).node !== undefined;
}

describe("on any small cluster", () => {
  const clusters = fc.tuple(
    fc.array(someone, { maxLength: 12 }),
    fc.record({
      cpu: fc.integer({ min: 1, max: 5 }),
      priority: fc.integer({ min: 0, max: 5 }),
      avoidsWeb: fc.boolean(),
    }),
    fc.integer({ min: 0, max: 2 }),
  );

  it("V1, V2: only lesser Pods of one node go, all of them needed; somebody goes exactly where that can help", () => {
    fc.assert(
      fc.property(clusters, ([all, want, allowed]) => {
        const { cache, on } = populate(all);
        const before = JSON.stringify(cache.nodes.map((n) => [n.name, n.requested, [...n.pods.keys()].toSorted()]));
        const incoming = urgent(String(want.cpu), { priority: want.priority, ...(want.avoidsWeb && avoidWeb) });
        if (findNode(defaultProfile, incoming, cache, { random: () => 0 }).node) return;
        const outcome = plan(incoming, cache, { budgets: [budget("web", allowed)] });
        const after = JSON.stringify(cache.nodes.map((n) => [n.name, n.requested, [...n.pods.keys()].toSorted()]));
        expect(after).toBe(before);

        const lesser = (there: readonly PodInfo[]) => there.filter((p) => p.priority < want.priority);
        const canHelp = [...on.values()].filter((there) => {
          const [none, ...sets] = subsets(lesser(there));
          return none && sets.some((gone) => fitsWithout(incoming, there, gone));
        });
        expect(outcome.node !== undefined).toBe(canHelp.length > 0);
        if (!outcome.node) return;
        const there = on.get(outcome.node.name) ?? [];
        expect(lesser(there)).toEqual(expect.arrayContaining([...outcome.victims]));
        expect(fitsWithout(incoming, there, outcome.victims)).toBe(true);
        for (const spared of outcome.victims) {
          const rest = outcome.victims.filter((v) => v !== spared);
          expect(fitsWithout(incoming, there, rest)).toBe(false);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("V3: no other node could be had with a less important victim, unless a budget were broken there", () => {
    fc.assert(
      fc.property(clusters, ([all, want]) => {
        const { cache, on } = populate(all);
        const incoming = urgent(String(want.cpu), { priority: want.priority });
        if (findNode(defaultProfile, incoming, cache, { random: () => 0 }).node) return;
        const outcome = plan(incoming, cache);
        if (!outcome.node) return;
        const highest = (victims: readonly PodInfo[]) => Math.max(...victims.map((v) => v.priority));
        const least = Math.min(
          ...[...on.values()].flatMap((there) =>
            subsets(there.filter((p) => p.priority < want.priority))
              .filter((gone) => gone.length > 0 && fitsWithout(incoming, there, gone))
              .map(highest),
          ),
        );
        expect(highest(outcome.victims)).toBe(least);
      }),
      { numRuns: 200 },
    );
  });

  it("the Pod that was made room for fits there, wherever the search for candidates begins", () => {
    fc.assert(
      fc.property(clusters, fc.integer(), ([all, want], seed) => {
        const { cache } = populate(all);
        const incoming = urgent(String(want.cpu), { priority: want.priority });
        const decision = findNode(defaultProfile, incoming, cache, { random: seededRandom(seed) });
        if (decision.node) return;
        const input = { profile: defaultProfile, pod: incoming, why: decision.why, cache, budgets: [] };
        const more = { nominated: undefined, isVictim: () => false, random: seededRandom(seed) };
        const outcome = planPreemption({ ...input, ...more });
        for (const v of outcome.node ? outcome.victims : []) cache.remove(v.key);
        const again = findNode(defaultProfile, incoming, cache, {
          random: seededRandom(seed),
          nominated: outcome.node?.name,
        });
        expect(again.node?.name).toBe(outcome.node?.name);
      }),
      { numRuns: 200 },
    );
  });
});
