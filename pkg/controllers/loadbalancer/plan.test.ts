import { describe, expect, test } from "@jest/globals";
import type { EndpointSlice, Node, Service } from "../../api/generated/types.ts";
import { planLoadBalancers, takenPorts } from "./plan.ts";

const node = (name: string, ip: string, o: { ready?: string; labels?: Record<string, string> } = {}): Node => ({
  metadata: { name, labels: o.labels ?? {} },
  status: {
    addresses: [{ type: "InternalIP", address: ip }],
    conditions: [{ type: "Ready", status: o.ready ?? "True" }],
  },
});
const N1 = node("n1", "192.168.1.1");
const N2 = node("n2", "192.168.1.2");

const service = (name: string, o: { spec?: object; created?: number; has?: readonly string[] } = {}): Service => ({
  metadata: { name, namespace: "default", creationTimestamp: `2026-01-01T00:00:0${o.created ?? 0}Z` },
  spec: { type: "LoadBalancer", clusterIP: "10.96.0.5", ports: [{ port: 80, protocol: "TCP" }], ...o.spec },
  ...(o.has && { status: { loadBalancer: { ingress: o.has.map((ip) => ({ ip, ipMode: "VIP" })) } } }),
});

function plan(services: Service[], o: { nodes?: Node[]; slices?: EndpointSlice[]; taken?: Map<string, string> } = {}) {
  const facts = { services, nodes: o.nodes ?? [N1, N2], slicesOf: () => o.slices ?? [], taken: o.taken ?? new Map() };
  return Object.fromEntries(
    planLoadBalancers(facts).map((p) => [
      p.service.metadata.name,
      [...p.ingress.map((i) => i.ip), ...(p.refused ? ["!"] : [])],
    ]),
  );
}

const BOTH = ["192.168.1.1", "192.168.1.2"];

describe("planLoadBalancers", () => {
  test.each<[string, Service[], Parameters<typeof plan>[1], Record<string, unknown>]>([
    ["the nodes' addresses", [service("a")], {}, { a: BOTH }],
    ["it has them already", [service("a", { has: BOTH })], {}, {}],
    [
      "a node that is not ready",
      [service("a")],
      { nodes: [N1, node("n2", "192.168.1.2", { ready: "Unknown" })] },
      { a: ["192.168.1.1"] },
    ],
    [
      "a node that is kept out",
      [service("a")],
      {
        nodes: [
          N1,
          node("n2", "192.168.1.2", { labels: { "node.kubernetes.io/exclude-from-external-load-balancers": "" } }),
        ],
      },
      { a: ["192.168.1.1"] },
    ],
    ["no node", [service("a", { has: BOTH })], { nodes: [] }, { a: [] }],
    ["one it asks for", [service("a", { spec: { loadBalancerIP: "192.168.1.2" } })], {}, { a: ["192.168.1.2"] }],
    ["somebody else's class", [service("a", { spec: { loadBalancerClass: "example.com/lb" } })], {}, {}],
    ["our class by name", [service("a", { spec: { loadBalancerClass: "mini-kube.io/node" } })], {}, { a: BOTH }],
    ["no balancer any more", [service("a", { spec: { type: "ClusterIP" }, has: BOTH })], {}, { a: [] }],
    [
      "L1, L2: the older has the port",
      [service("b", { created: 2 }), service("a", { created: 1 })],
      {},
      { a: BOTH, b: ["10.96.0.5", "!"] },
    ],
    [
      "L1: who has it keeps it",
      [service("b", { created: 2, has: BOTH }), service("a", { created: 1 })],
      {},
      { a: ["10.96.0.5", "!"] },
    ],
    [
      "other ports, other protocols",
      [service("a"), service("b", { spec: { ports: [{ port: 80, protocol: "UDP" }] } })],
      {},
      { a: BOTH, b: BOTH },
    ],
    [
      "L2: a port of the cluster itself",
      [service("a", { spec: { ports: [{ port: 6443 }] } })],
      { taken: new Map([["TCP/6443", "the API server"]]) },
      { a: ["10.96.0.5", "!"] },
    ],
  ])("%s", (_, services, facts, expected) => {
    expect(plan(services, facts)).toEqual(expected);
  });

  test("where traffic must stay on its node, only nodes with a ready endpoint", () => {
    const endpoints = [
      { addresses: ["10.244.1.2"], nodeName: "n2", conditions: { ready: true } },
      { addresses: ["10.244.0.2"], nodeName: "n1", conditions: { ready: false } },
    ];
    const slices: EndpointSlice[] = [{ metadata: {}, addressType: "IPv4", endpoints }];
    expect(plan([service("a", { spec: { externalTrafficPolicy: "Local" } })], { slices })).toEqual({
      a: ["192.168.1.2"],
    });
  });
});

test("the ports of agents and API servers", () => {
  const agent: Node = { ...N1, status: { ...N1.status, daemonEndpoints: { kubeletEndpoint: { Port: 10250 } } } };
  const api: EndpointSlice = { metadata: {}, addressType: "IPv4", endpoints: [], ports: [{ port: 6443 }] };
  expect([...takenPorts([agent], [api])]).toEqual([
    ["TCP/10250", "the node's agent"],
    ["TCP/6443", "the API server"],
  ]);
});
