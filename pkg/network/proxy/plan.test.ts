import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Service } from "../../api/generated/types.ts";
import { diffRulesets, EMPTY_RULESET, prepared, renderRuleset } from "../nft/ruleset.ts";
import { ModelTable } from "../nft/testing/model-table.ts";
import type { ReadonlySlice } from "./backends.ts";
import { ProxyPlan } from "./plan.ts";
import { type EndpointShorthand, FACTS, serviceOf, sliceOf } from "./testing/objects.ts";
import { type Packet, walk } from "./testing/walk.ts";

const POD = { from: "pod", source: "10.244.0.9", protocol: "tcp" } as const;
const NODE = { from: "node", source: "192.168.1.10", protocol: "tcp" } as const;
const LAPTOP = { from: "outside", source: "192.168.1.77", protocol: "tcp" } as const;
const TO_CLUSTER_IP = { to: "10.96.0.5", port: 80 };
const TO_NODE_PORT = { to: "192.168.1.10", port: 30080, local: true };
const TO_LOCALHOST = { to: "127.0.0.1", port: 30080, local: true };
const TO_BALANCER = { to: "192.168.1.10", port: 80, local: true };
const TO_EXTERNAL = { to: "203.0.113.7", port: 80 };

const sent = (to: readonly string[], masqueraded = false) => ({ type: "sent", to, masqueraded });
const [A, B, C] = ["10.244.0.2", "10.244.1.3", "10.244.1.4"];
const HERE_AND_THERE = { [A]: {}, [B]: { node: "n2" } };
const BOTH = [`${A}:8080`, `${B}:8080`];

function fateOf(service: Service, endpoints: Readonly<Record<string, EndpointShorthand>>, packet: Packet) {
  return walk(rulesetOf([service, [sliceOf(endpoints)]]), packet);
}

function rulesetOf(...all: readonly (readonly [Service, readonly ReadonlySlice[]])[]) {
  const plan = new ProxyPlan();
  for (const [service, slices] of all) plan.update(service.metadata.name ?? "", { service, slices, facts: FACTS });
  return plan.ruleset(FACTS);
}

const nodePort = { type: "NodePort", port: { nodePort: 30080 } };
const balancer = (spec: object = {}): Service => ({
  ...serviceOf("web", { type: "LoadBalancer", ...spec }),
  status: { loadBalancer: { ingress: [{ ip: "192.168.1.10", ipMode: "VIP" }] } },
});
const LOCAL = { externalTrafficPolicy: "Local" };

describe("where a packet goes", () => {
  test.each<[string, Service, Readonly<Record<string, EndpointShorthand>>, Packet, unknown]>([
    ["ClusterIP from a Pod", serviceOf("web", {}), HERE_AND_THERE, { ...POD, ...TO_CLUSTER_IP }, sent(BOTH)],
    ["ClusterIP from the node", serviceOf("web", {}), HERE_AND_THERE, { ...NODE, ...TO_CLUSTER_IP }, sent(BOTH, true)],
    [
      "another port of it",
      serviceOf("web", {}),
      HERE_AND_THERE,
      { ...POD, to: "10.96.0.5", port: 81 },
      { type: "refused" },
    ],
    [
      "another protocol",
      serviceOf("web", {}),
      HERE_AND_THERE,
      { ...POD, ...TO_CLUSTER_IP, protocol: "udp" },
      { type: "refused" },
    ],
    [
      "an address of nobody",
      serviceOf("web", {}),
      HERE_AND_THERE,
      { ...POD, to: "10.96.0.6", port: 80 },
      { type: "untouched" },
    ],
    ["no endpoints", serviceOf("web", {}), {}, { ...POD, ...TO_CLUSTER_IP }, { type: "refused" }],
    [
      "none that is ready",
      serviceOf("web", {}),
      { [A]: { state: "unready" } },
      { ...POD, ...TO_CLUSTER_IP },
      { type: "refused" },
    ],
    [
      "some on their way out",
      serviceOf("web", {}),
      { [A]: { state: "terminating" }, [B]: {} },
      { ...POD, ...TO_CLUSTER_IP },
      sent([`${B}:8080`]),
    ],
    [
      "all on their way out",
      serviceOf("web", {}),
      { [A]: { state: "terminating" }, [B]: { state: "gone" } },
      { ...POD, ...TO_CLUSTER_IP },
      sent([`${A}:8080`]),
    ],
    [
      "internal traffic Local",
      serviceOf("web", { internalTrafficPolicy: "Local" }),
      HERE_AND_THERE,
      { ...POD, ...TO_CLUSTER_IP },
      sent([`${A}:8080`]),
    ],
    [
      "internal traffic Local, none here",
      serviceOf("web", { internalTrafficPolicy: "Local" }),
      { [B]: { node: "n2" } },
      { ...POD, ...TO_CLUSTER_IP },
      { type: "dropped" },
    ],
    [
      "node port from outside",
      serviceOf("web", nodePort),
      HERE_AND_THERE,
      { ...LAPTOP, ...TO_NODE_PORT },
      sent(BOTH, true),
    ],
    ["node port from a Pod", serviceOf("web", nodePort), HERE_AND_THERE, { ...POD, ...TO_NODE_PORT }, sent(BOTH, true)],
    [
      "node port at localhost",
      serviceOf("web", nodePort),
      HERE_AND_THERE,
      { ...NODE, ...TO_LOCALHOST },
      sent([`${A}:8080`], true),
    ],
    [
      "node port without endpoints",
      serviceOf("web", nodePort),
      {},
      { ...LAPTOP, ...TO_NODE_PORT },
      { type: "refused" },
    ],
    [
      "node port, Local",
      serviceOf("web", { ...nodePort, ...LOCAL }),
      HERE_AND_THERE,
      { ...LAPTOP, ...TO_NODE_PORT },
      sent([`${A}:8080`]),
    ],
    [
      "node port, Local, none here",
      serviceOf("web", { ...nodePort, ...LOCAL }),
      { [B]: { node: "n2" } },
      { ...LAPTOP, ...TO_NODE_PORT },
      { type: "dropped" },
    ],
    [
      "node port, Local, from a Pod",
      serviceOf("web", { ...nodePort, ...LOCAL }),
      { [B]: { node: "n2" } },
      { ...POD, ...TO_NODE_PORT },
      sent([`${B}:8080`]),
    ],
    ["load balancer from outside", balancer(), HERE_AND_THERE, { ...LAPTOP, ...TO_BALANCER }, sent(BOTH, true)],
    ["load balancer, Local", balancer(LOCAL), HERE_AND_THERE, { ...LAPTOP, ...TO_BALANCER }, sent([`${A}:8080`])],
    [
      "load balancer, Local, from the node",
      balancer(LOCAL),
      HERE_AND_THERE,
      { ...NODE, ...TO_BALANCER },
      sent(BOTH, true),
    ],
    [
      "load balancer from a range",
      balancer({ loadBalancerSourceRanges: ["192.168.1.77"] }),
      HERE_AND_THERE,
      { ...LAPTOP, ...TO_BALANCER },
      sent(BOTH, true),
    ],
    [
      "load balancer from elsewhere",
      balancer({ loadBalancerSourceRanges: ["192.168.2.0/24"] }),
      HERE_AND_THERE,
      { ...LAPTOP, ...TO_BALANCER },
      { type: "dropped" },
    ],
    [
      "external IP",
      serviceOf("web", { externalIPs: ["203.0.113.7"] }),
      HERE_AND_THERE,
      { ...LAPTOP, ...TO_EXTERNAL },
      sent(BOTH, true),
    ],
    [
      "ClusterIP from outside",
      serviceOf("web", {}),
      HERE_AND_THERE,
      { ...LAPTOP, ...TO_CLUSTER_IP },
      { type: "refused" },
    ],
    [
      "affinity",
      serviceOf("web", { sessionAffinity: "ClientIP" }),
      HERE_AND_THERE,
      { ...POD, ...TO_CLUSTER_IP },
      sent(BOTH),
    ],
    [
      "headless",
      serviceOf("web", { clusterIP: "None", clusterIPs: ["None"] }),
      HERE_AND_THERE,
      { ...POD, ...TO_CLUSTER_IP },
      { type: "untouched" },
    ],
    [
      "forged localhost",
      serviceOf("web", nodePort),
      HERE_AND_THERE,
      { ...LAPTOP, ...TO_LOCALHOST },
      { type: "dropped" },
    ],
  ])("%s", (_, service, endpoints, packet, expected) => {
    expect(fateOf(service, endpoints, packet)).toEqual(expected);
  });

  test("hints: near ones only, if all endpoints have them", () => {
    const zone = (name: string) => ({ hints: { forZones: [{ name }] } });
    const packet = { ...POD, ...TO_CLUSTER_IP };
    expect(fateOf(serviceOf("web", {}), { [A]: zone("a"), [B]: zone("b") }, packet)).toEqual(sent([`${A}:8080`]));
    expect(fateOf(serviceOf("web", {}), { [A]: zone("a"), [B]: {} }, packet)).toEqual(sent(BOTH));
    expect(fateOf(serviceOf("web", {}), { [A]: zone("c"), [B]: zone("b") }, packet)).toEqual(sent(BOTH));
    const node = (name: string) => ({ node: name, hints: { forNodes: [{ name }], forZones: [{ name: "a" }] } });
    expect(fateOf(serviceOf("web", {}), { [A]: node("n1"), [B]: node("n2") }, packet)).toEqual(sent([`${A}:8080`]));
    expect(fateOf(serviceOf("web", {}), { [C]: node("n3"), [B]: node("n2") }, packet)).toEqual(
      sent([`${B}:8080`, `${C}:8080`]),
    );
  });

  test("named ports, each to its own", () => {
    const ports = [
      { name: "http", port: 80, protocol: "TCP" },
      { name: "dns", port: 53, protocol: "UDP" },
    ];
    const slices = [
      sliceOf({ [A]: {} }, { name: "http", port: 8080 }),
      sliceOf({ [B]: { node: "n2" } }, { name: "http", port: 9090 }),
      sliceOf({ [A]: {} }, { name: "dns", port: 5353, protocol: "UDP" }),
    ];
    const r = rulesetOf([serviceOf("web", { ports }), slices]);
    expect(walk(r, { ...POD, ...TO_CLUSTER_IP })).toEqual(sent([`${A}:8080`, `${B}:9090`]));
    expect(walk(r, { ...POD, to: "10.96.0.5", port: 53, protocol: "udp" })).toEqual(sent([`${A}:5353`]));
  });

  test("who claims an address that another has gets nothing of it", () => {
    const plan = new ProxyPlan();
    const claim = (name: string, clusterIP: string, endpoints: Readonly<Record<string, EndpointShorthand>>) => ({
      service: serviceOf(name, { clusterIP, externalIPs: ["203.0.113.7"] }),
      slices: [sliceOf(endpoints)],
      facts: FACTS,
    });
    const there = () => walk(plan.ruleset(FACTS), { ...LAPTOP, ...TO_EXTERNAL });
    plan.update("a", claim("a", "10.96.0.5", { [A]: {} }));
    plan.update("b", claim("b", "10.96.0.6", { [B]: {}, [C]: {} }));
    expect(there()).toEqual(sent([`${A}:8080`], true));
    plan.update("a", claim("a", "10.96.0.5", { [A]: {}, [B]: {} }));
    expect(there()).toEqual(sent([`${A}:8080`, `${B}:8080`], true));
    plan.update("a", undefined);
    expect(there()).toEqual(sent([`${B}:8080`, `${C}:8080`], true));
  });
});

const endpoint = fc.record({
  node: fc.constantFrom("n1", "n2"),
  state: fc.constantFrom("ready" as const, "unready" as const, "terminating" as const),
});
const endpoints = fc.dictionary(
  fc.integer({ min: 2, max: 30 }).map((n) => `10.244.0.${n}`),
  endpoint,
  { maxKeys: 6 },
);
const service = fc.record({
  sessionAffinity: fc.constantFrom("None", "ClientIP"),
  type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer"),
  externalTrafficPolicy: fc.constantFrom("Cluster", "Local"),
  internalTrafficPolicy: fc.constantFrom("Cluster", "Local"),
});
interface World {
  readonly services: readonly Service[];
  readonly slices: ReadonlyMap<string, readonly ReadonlySlice[]>;
}
const world: fc.Arbitrary<World> = fc.array(fc.tuple(service, endpoints), { maxLength: 6 }).map((all) => ({
  services: all.map(([spec], i) =>
    serviceOf(`s${i}`, {
      ...spec,
      clusterIP: `10.96.1.${i}`,
      port: { ...(spec.type !== "ClusterIP" && { nodePort: 30000 + i }) },
    }),
  ),
  slices: new Map(all.map(([, e], i) => [`s${i}`, [sliceOf(e)]])),
}));

function update(plan: ProxyPlan, w: World, known: ReadonlySet<string>): ReadonlySet<string> {
  const now = new Map(w.services.map((s) => [s.metadata.name ?? "", s]));
  for (const name of new Set([...known, ...now.keys()])) {
    const s = now.get(name);
    plan.update(name, s && { service: s, slices: w.slices.get(name) ?? [], facts: FACTS });
  }
  return new Set(now.keys());
}

describe("whatever the Services are", () => {
  test("every ready endpoint, and no other, gets what is sent to the ClusterIP", () => {
    fc.assert(
      fc.property(world, ({ services, slices }) => {
        const r = rulesetOf(...services.map((s) => [s, slices.get(s.metadata.name ?? "") ?? []] as const));
        for (const s of services) {
          const local = s.spec?.internalTrafficPolicy === "Local";
          const all = (slices.get(s.metadata.name ?? "") ?? []).flatMap((x) => x.endpoints ?? []);
          const mine = all.filter((e) => !local || e.nodeName === "n1");
          const ready = mine.filter((e) => e.conditions?.ready);
          const wanted = ready.length > 0 ? ready : mine.filter((e) => e.conditions?.terminating);
          const fate = walk(r, { ...POD, to: s.spec?.clusterIP ?? "", port: 80 });
          const addresses = wanted.map((e) => `${e.addresses[0] ?? ""}:8080`).toSorted();
          const elsewhere = all.some((e) => e.conditions?.ready !== false || e.conditions.terminating);
          const otherwise = { type: elsewhere ? "dropped" : "refused" };
          expect(fate).toEqual(addresses.length > 0 ? sent(addresses) : otherwise);
        }
      }),
    );
  });

  test("T2: who is served before a change and after it is served while it happens", () => {
    fc.assert(
      fc.property(world, world, fc.integer({ min: 1, max: 6 }), (first, second, lookUp) => {
        const plan = new ProxyPlan();
        const known = update(plan, first, new Set());
        const before = plan.ruleset(FACTS);
        update(plan, second, known);
        const now = plan.ruleset(FACTS);
        for (const [i, s] of first.services.entries()) {
          // Who changes that changes where all is looked up.
          if (s.spec?.sessionAffinity !== second.services[i]?.spec?.sessionAffinity) continue;
          const packets = [
            { ...POD, to: s.spec?.clusterIP ?? "", port: 80 },
            { ...LAPTOP, ...TO_NODE_PORT, port: s.spec?.ports?.[0]?.nodePort ?? 0 },
          ];
          for (const packet of packets) {
            const [was, is] = [walk(before, packet), walk(now, packet)];
            if (was.type !== "sent" || is.type !== "sent") continue;
            const fate = walk(prepared(before, now), packet, { lookUp, now });
            expect(fate.type).toBe("sent");
            const to = fate.type === "sent" ? fate.to : [];
            expect([...was.to, ...is.to]).toEqual(expect.arrayContaining([...to]));
          }
        }
      }),
    );
  });

  test("step by step and all at once come to the same table", () => {
    fc.assert(
      fc.property(fc.array(world, { minLength: 2, maxLength: 4 }), (worlds) => {
        const [plan, table] = [new ProxyPlan(), new ModelTable("t")];
        table.apply(renderRuleset("t", EMPTY_RULESET));
        let [known, before] = [new Set<string>() as ReadonlySet<string>, EMPTY_RULESET];
        for (const w of worlds) {
          known = update(plan, w, known);
          const after = plan.ruleset(FACTS);
          table.apply(diffRulesets("t", before, after));
          before = after;
        }
        const fresh = new ProxyPlan();
        update(fresh, worlds.at(-1) ?? { services: [], slices: new Map() }, new Set());
        expect(table.content()).toEqual(ModelTable.contentOf(fresh.ruleset(FACTS)));
      }),
    );
  });
});
