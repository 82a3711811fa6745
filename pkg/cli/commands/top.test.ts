import { expect, test } from "@jest/globals";
import type { PodMetrics } from "../../api/generated/types.ts";
import { cells, linesOfPods, ofNode, ordered } from "./top.ts";

const pod = (name: string, ...containers: [string, string, string][]): PodMetrics => ({
  metadata: { name, namespace: "shop" },
  timestamp: "2026-01-01T00:00:00Z",
  window: "10s",
  containers: containers.map(([c, cpu, memory]) => ({ name: c, usage: { cpu, memory } })),
});
const metrics = [pod("web", ["app", "1500001n", "2048Ki"], ["side", "3m", "3Mi"]), pod("db", ["app", "9m", "1Ki"])];

const rows = (o: Parameters<typeof linesOfPods>[1], by?: "cpu" | "memory") =>
  ordered(linesOfPods(metrics, o), by).map(({ names, used }) => [...names, ...cells(used)]);

test("a Pod is the sum of its containers, by name", () => {
  expect(rows({})).toEqual([
    ["db", "9m", "0Mi"],
    ["web", "5m", "5Mi"],
  ]);
});

test("each container, in all namespaces, the greediest first", () => {
  expect(rows({ allNamespaces: true, containers: true }, "memory")).toEqual([
    ["shop", "web", "side", "3m", "3Mi"],
    ["shop", "web", "app", "2m", "2Mi"],
    ["shop", "db", "app", "9m", "0Mi"],
  ]);
});

test("a node's use beside what it has to give", () => {
  const used = { cpu: 500, memory: 2 ** 30 };
  const node = { metadata: {}, status: { allocatable: { cpu: "2", memory: "8Gi" } } };
  expect(ofNode(used, node)).toEqual(["500m", "25%", "1024Mi", "12%"]);
  expect(ofNode(used, undefined)).toEqual(["500m", "<unknown>", "1024Mi", "<unknown>"]);
});
