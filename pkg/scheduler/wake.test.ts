import { expect, it } from "@jest/globals";
import { cacheOf, info, node } from "./fakes.ts";
import type { ClusterEvent } from "./framework.ts";
import type { PodInfo } from "./pod-info.ts";
import { defaultProfile } from "./profile.ts";
import { mayHelp } from "./wake.ts";

const gpu = { key: "gpu", value: "true", effect: "NoSchedule" };
const small = node("n", { allocatable: { cpu: "2" } });

/** A Pod that `plugin` refused hears of `event` at the node that is all there is. */
const cases: [
  what: string,
  plugin: string,
  event: ClusterEvent,
  pod: PodInfo,
  at: typeof small,
  on: PodInfo[],
  boolean,
][] = [
  ["room for it", "NodeResourcesFit", "PodGone", info("p", { requests: { cpu: "1" } }), small, [], true],
  [
    "not enough room",
    "NodeResourcesFit",
    "PodGone",
    info("p", { requests: { cpu: "2" } }),
    small,
    [info("q", { requests: { cpu: "1" } })],
    false,
  ],
  [
    "room that it can make",
    "NodeResourcesFit",
    "PodGone",
    info("p", { requests: { cpu: "2" }, priority: 1 }),
    small,
    [info("q", { requests: { cpu: "1" } })],
    true,
  ],
  [
    "never room enough",
    "NodeResourcesFit",
    "NodeAdded",
    info("p", { requests: { cpu: "3" }, priority: 1 }),
    small,
    [info("q")],
    false,
  ],
  ["an event that the plugin does not care for", "NodeResourcesFit", "NodeTaintsChanged", info("p"), small, [], false],
  [
    "a taint still not tolerated",
    "TaintToleration",
    "NodeTaintsChanged",
    info("p"),
    node("n", { taints: [gpu] }),
    [],
    false,
  ],
  ["a taint that has gone", "TaintToleration", "NodeTaintsChanged", info("p"), small, [], true],
  [
    "still cordoned",
    "NodeUnschedulable",
    "NodeTaintsChanged",
    info("p"),
    node("n", { unschedulable: true }),
    [],
    false,
  ],
  [
    "the wrong label",
    "NodeAffinity",
    "NodeLabelsChanged",
    info("p", { nodeSelector: { disk: "ssd" } }),
    node("n", { labels: { disk: "hdd" } }),
    [],
    false,
  ],
  [
    "the right label",
    "NodeAffinity",
    "NodeLabelsChanged",
    info("p", { nodeSelector: { disk: "ssd" } }),
    node("n", { labels: { disk: "ssd" } }),
    [],
    true,
  ],
  ["what happens elsewhere counts for topologies", "PodTopologySpread", "PodGone", info("p"), small, [], true],
];

it.each(cases)("%s", (_, name, event, pod, at, on, helps) => {
  const cache = cacheOf([at], { n: on });
  const plugin = defaultProfile.find((p) => p.name === name);
  const there = cache.node("n");
  if (!plugin || !there) throw new Error(`no plugin ${name}`);
  expect(mayHelp(plugin, event, pod, { node: there, snapshot: cache })).toBe(helps);
});
