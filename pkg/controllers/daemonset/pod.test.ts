import { describe, expect, test } from "@jest/globals";
import type { DaemonSet, Node, PodSpec } from "../../api/generated/types.ts";
import { daemonTolerations, fitOf, podFor, targetNode } from "./pod.ts";

const containers = [{ name: "log", image: "log" }];
const gpu = { key: "gpu", operator: "Exists", effect: "NoSchedule" };

test("a daemon's Pod is made for one node, and stays when that has troubles", () => {
  const preferred = [{ weight: 1, preference: {} }];
  const required = { nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", operator: "Exists" }] }] };
  const template = {
    metadata: { labels: { app: "log" } },
    spec: {
      containers,
      hostNetwork: true,
      tolerations: [gpu],
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: preferred,
          requiredDuringSchedulingIgnoredDuringExecution: required,
        },
      },
    },
  };
  const owner: DaemonSet = {
    metadata: { name: "log", uid: "u", annotations: { "deprecated.daemonset.template.generation": "7" } },
  };
  const pod = podFor(owner, { node: "n1", template, hash: "abc" });
  expect(pod.metadata).toMatchObject({
    generateName: "log-",
    labels: { app: "log", "controller-revision-hash": "abc", "pod-template-generation": "7" },
    ownerReferences: [{ kind: "DaemonSet", name: "log", uid: "u", controller: true }],
  });
  // The scheduler is to bind it, and has one choice.
  expect(pod.spec?.nodeName).toBeUndefined();
  expect(pod.spec?.affinity?.nodeAffinity).toEqual({
    preferredDuringSchedulingIgnoredDuringExecution: preferred,
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["n1"] }] }],
    },
  });
  expect(targetNode(pod)).toBe("n1");
  expect(pod.spec?.tolerations?.map((t) => `${t.key}:${t.effect}`)).toEqual([
    "gpu:NoSchedule",
    "node.kubernetes.io/not-ready:NoExecute",
    "node.kubernetes.io/unreachable:NoExecute",
    "node.kubernetes.io/disk-pressure:NoSchedule",
    "node.kubernetes.io/memory-pressure:NoSchedule",
    "node.kubernetes.io/pid-pressure:NoSchedule",
    "node.kubernetes.io/unschedulable:NoSchedule",
    "node.kubernetes.io/network-unavailable:NoSchedule",
  ]);
});

test("what it tolerates for ever it does not tolerate for a while only", () => {
  const brief = { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 5 };
  const found = daemonTolerations({ containers, tolerations: [brief] }).filter((t) => t.key === brief.key);
  expect(found).toEqual([{ key: brief.key, operator: "Exists", effect: "NoExecute" }]);
});

describe("fitOf", () => {
  const node = (o: Partial<Node["spec"]> & { labels?: Record<string, string> } = {}): Node => {
    const { labels = {}, ...spec } = o;
    return { metadata: { name: "n1", labels }, spec };
  };
  const affinity = (key: string): PodSpec["affinity"] & object => ({
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "Exists" }] }],
      },
    },
  });
  const taint = (key: string, effect: string) => ({ taints: [{ key, effect }] });
  test.each<[string, Partial<PodSpec>, Node, string]>([
    ["any node", {}, node(), "run"],
    ["the node it names", { nodeName: "n1" }, node(), "run"],
    ["no other than that", { nodeName: "n2" }, node(), "go"],
    ["by its selector", { nodeSelector: { disk: "ssd" } }, node({ labels: { disk: "ssd" } }), "run"],
    ["not without the label", { nodeSelector: { disk: "ssd" } }, node(), "go"],
    ["by affinity", { affinity: affinity("gpu") }, node({ labels: { gpu: "1" } }), "run"],
    ["not without affinity", { affinity: affinity("gpu") }, node(), "go"],
    ["kept away by a taint", {}, node(taint("gpu", "NoSchedule")), "stay"],
    ["which it may tolerate", { tolerations: [gpu] }, node(taint("gpu", "NoSchedule")), "run"],
    ["driven out", {}, node(taint("gpu", "NoExecute")), "go"],
    ["less liked only", {}, node(taint("gpu", "PreferNoSchedule")), "run"],
    ["cordoned", {}, node({ unschedulable: true, ...taint("node.kubernetes.io/unschedulable", "NoSchedule") }), "run"],
    ["unreachable", {}, node(taint("node.kubernetes.io/unreachable", "NoExecute")), "run"],
    ["without a network", {}, node(taint("node.kubernetes.io/network-unavailable", "NoSchedule")), "stay"],
    [
      "which it brings itself",
      { hostNetwork: true },
      node(taint("node.kubernetes.io/network-unavailable", "NoSchedule")),
      "run",
    ],
  ])("%s", (_, spec, on, expected) => {
    const { shouldRun, mayStay } = fitOf({ containers, ...spec }, on);
    expect(shouldRun ? "run" : mayStay ? "stay" : "go").toBe(expected);
  });
});
