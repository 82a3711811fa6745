import { describe, expect, it } from "@jest/globals";
import type { Affinity, NodeSelectorRequirement } from "../api/generated/types.ts";
import { seededRandom } from "../util/clock.ts";
import type { SchedulerCache } from "./cache.ts";
import { explain } from "./explain.ts";
import { enoughNodes, findNode } from "./find-node.ts";
import type { PodInfo } from "./pod-info.ts";
import { defaultProfile } from "./profile.ts";
import { cacheOf, info, node } from "./fakes.ts";

/** The node chosen, or the sentence that says why there is none. */
function place(pod: PodInfo, cache: SchedulerCache): string {
  const decision = findNode(defaultProfile, pod, cache, { random: seededRandom(1) });
  return decision.node ? decision.node.name : explain(decision.why);
}

const nodeAffinity = (...matchExpressions: NodeSelectorRequirement[]): { affinity: Affinity } => ({
  affinity: {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] } },
  },
});
const hostPort = (port: number) => ({
  containers: [{ name: "c", image: "x", ports: [{ containerPort: 80, hostPort: port }] }],
});
const HOST = "kubernetes.io/hostname";
const ZONE = "topology.kubernetes.io/zone";
const labelSelector = { matchLabels: { app: "web" } };

describe("refusals, in kube-scheduler's words", () => {
  const gpu = { key: "gpu", value: "true", effect: "NoSchedule" };
  const cases: [what: string, pod: PodInfo, cache: SchedulerCache, sentence: string][] = [
    ["no nodes", info("p"), cacheOf([]), "no nodes available to schedule pods"],
    [
      "every node has its say",
      info("p", { requests: { cpu: "8" } }),
      cacheOf([node("a"), node("b"), node("c", { taints: [gpu] })]),
      "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: true}, 2 Insufficient cpu.",
    ],
    [
      "a node short of several things counts for each",
      info("p", { requests: { cpu: "8", memory: "1Ti", "nvidia.com/gpu": "1", "ephemeral-storage": "1Gi" } }),
      cacheOf([node("a")]),
      "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient ephemeral-storage, 1 Insufficient memory, 1 Insufficient nvidia.com/gpu.",
    ],
    [
      "too many pods",
      info("p"),
      cacheOf([node("a", { allocatable: { pods: "1" } })], { a: [info("q")] }),
      "0/1 nodes are available: 1 Too many pods.",
    ],
    [
      "cordoned",
      info("p"),
      cacheOf([node("a", { unschedulable: true })]),
      "0/1 nodes are available: 1 node(s) were unschedulable.",
    ],
    [
      "node selector",
      info("p", { nodeSelector: { disk: "ssd" } }),
      cacheOf([node("a")]),
      "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    ],
    [
      "host ports",
      info("p", hostPort(80)),
      cacheOf([node("a")], { a: [info("q", hostPort(80))] }),
      "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    ],
    [
      "pod anti-affinity",
      info("p", {
        labels: { app: "web" },
        affinity: {
          podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector, topologyKey: HOST }] },
        },
      }),
      cacheOf([node("a")], { a: [info("q", { labels: { app: "web" } })] }),
      "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
    ],
    [
      "a standing Pod's anti-affinity",
      info("p", { labels: { app: "web" } }),
      cacheOf([node("a")], {
        a: [
          info("q", {
            affinity: {
              podAntiAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector, topologyKey: HOST }],
              },
            },
          }),
        ],
      }),
      "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
    ],
    [
      "pod affinity to nobody",
      info("p", {
        affinity: {
          podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector, topologyKey: HOST }] },
        },
      }),
      cacheOf([node("a")]),
      "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.",
    ],
    [
      "topology spread",
      info("p", {
        labels: { app: "web" },
        topologySpreadConstraints: [
          { maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: "DoNotSchedule", labelSelector },
        ],
      }),
      cacheOf(
        [
          node("a", { labels: { [ZONE]: "z1" } }),
          node("b", { labels: { [ZONE]: "z2" }, allocatable: { pods: "0" } }),
          node("c"),
        ],
        { a: [info("q", { labels: { app: "web" } })] },
      ),
      "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints, 1 node(s) didn't match pod topology spread constraints (missing required label).",
    ],
  ];
  it.each(cases)("%s", (_, pod, cache, sentence) => {
    expect(place(pod, cache)).toBe(sentence);
  });
});

describe("node affinity operators", () => {
  const ssd = node("ssd", { labels: { disk: "ssd", cores: "16" } });
  const plain = node("plain", { labels: { cores: "4" } });
  it.each<[NodeSelectorRequirement, string]>([
    [{ key: "disk", operator: "In", values: ["ssd", "nvme"] }, "ssd"],
    [{ key: "disk", operator: "NotIn", values: ["ssd"] }, "plain"],
    [{ key: "disk", operator: "Exists" }, "ssd"],
    [{ key: "disk", operator: "DoesNotExist" }, "plain"],
    [{ key: "cores", operator: "Gt", values: ["8"] }, "ssd"],
    [{ key: "cores", operator: "Lt", values: ["8"] }, "plain"],
  ])("%j → %s", (requirement, chosen) => {
    expect(place(info("p", nodeAffinity(requirement)), cacheOf([ssd, plain]))).toBe(chosen);
  });

  it("matchFields names a node", () => {
    const matchFields = [{ key: "metadata.name", operator: "In", values: ["plain"] }];
    const affinity = {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] } },
    };
    expect(place(info("p", { affinity }), cacheOf([ssd, plain]))).toBe("plain");
  });
});

describe("tolerations", () => {
  const tainted = (effect: string) => node("a", { taints: [{ key: "k", value: "v", effect }] });
  it.each([
    [{ key: "k", operator: "Equal", value: "v", effect: "NoSchedule" }, true],
    [{ key: "k", value: "v" }, true],
    [{ key: "k", operator: "Exists" }, true],
    [{ operator: "Exists" }, true],
    [{ key: "k", value: "other" }, false],
    [{ key: "k", operator: "Exists", effect: "NoExecute" }, false],
  ])("%j: %s", (toleration, tolerated) => {
    const verdict = place(info("p", { tolerations: [toleration] }), cacheOf([tainted("NoSchedule")]));
    expect(verdict === "a").toBe(tolerated);
  });

  it("PreferNoSchedule only makes a node less liked", () => {
    expect(place(info("p"), cacheOf([tainted("PreferNoSchedule")]))).toBe("a");
    expect(place(info("p"), cacheOf([tainted("PreferNoSchedule"), node("b")]))).toBe("b");
  });
});

describe("preferences", () => {
  it("the least allocated node", () => {
    const cache = cacheOf([node("a"), node("b")], { a: [info("q", { requests: { cpu: "2", memory: "2Gi" } })] });
    expect(place(info("p", { requests: { cpu: "1", memory: "1Gi" } }), cache)).toBe("b");
  });

  it("replicas of one owner go apart, first over zones", () => {
    const web = { labels: { app: "web" } };
    const cache = cacheOf(
      [
        node("a", { labels: { [ZONE]: "z1" } }),
        node("b", { labels: { [ZONE]: "z1" } }),
        node("c", { labels: { [ZONE]: "z2" } }),
      ],
      { a: [info("q", web)] },
    );
    expect(place(info("p", web), cache)).toBe("c");
  });

  it("a node that has a big image already", () => {
    const big = node("b");
    const images = [{ names: ["docker.io/library/big:latest"], sizeBytes: 2e9 }];
    const cache = cacheOf([node("a"), { ...big, status: { ...big.status, images } }]);
    expect(place(info("p", { containers: [{ name: "c", image: "big" }] }), cache)).toBe("b");
  });

  it("near to Pods one likes; the first of its kind may go anywhere", () => {
    const term = { labelSelector, topologyKey: ZONE };
    const near = {
      labels: { app: "web" },
      affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
    };
    const nodes = [node("a", { labels: { [ZONE]: "z1" } }), node("b", { labels: { [ZONE]: "z2" } })];
    expect(place(info("p", near), cacheOf(nodes))).toMatch(/^[ab]$/);
    expect(place(info("p", near), cacheOf(nodes, { b: [info("q", { labels: { app: "web" } })] }))).toBe("b");
  });

  it("ScheduleAnyway spreads, though it forces nothing", () => {
    const soft = { maxSkew: 1, topologyKey: HOST, whenUnsatisfiable: "ScheduleAnyway", labelSelector };
    const web = { labels: { app: "web" }, topologySpreadConstraints: [soft] };
    const standing = [info("q1", web), info("q2", web)];
    expect(place(info("p", web), cacheOf([node("a"), node("b")], { a: standing }))).toBe("b");
    expect(place(info("p", web), cacheOf([node("a")], { a: standing }))).toBe("a");
  });
});

describe("findNode", () => {
  it("breaks ties at random, each equal node having its chance", () => {
    const cache = cacheOf(["a", "b", "c", "d"].map((name) => node(name)));
    const random = seededRandom(7);
    const hits: Record<string, number> = {};
    for (let i = 0; i < 400; i++) {
      const { node: chosen } = findNode(defaultProfile, info("p"), cache, { random });
      if (chosen) hits[chosen.name] = (hits[chosen.name] ?? 0) + 1;
    }
    expect(Object.keys(hits).sort()).toEqual(["a", "b", "c", "d"]);
    for (const count of Object.values(hits)) expect(count).toBeGreaterThan(60);
  });

  it("looks at enough nodes only, and goes on where it left off", () => {
    const cache = cacheOf(Array.from({ length: 1_000 }, (_, i) => node(`n${i}`)));
    const decision = findNode(defaultProfile, info("p"), cache, { random: () => 0, start: 990 });
    expect(decision).toMatchObject({ feasible: 420, evaluated: 420 });
    expect([50, 100, 101, 1_000, 5_625, 20_000].map(enoughNodes)).toEqual([50, 100, 100, 420, 281, 1_000]);
  });
});
