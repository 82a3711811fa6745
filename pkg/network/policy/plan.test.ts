import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { NetworkPolicy } from "../../api/generated/types.ts";
import { EMPTY_RULESET, mergeRulesets, renderRuleset } from "../nft/ruleset.ts";
import { planPolicies } from "./plan.ts";
import type { PolicyInput, PolicyPod } from "./selection.ts";
import { allowed, judge, type Packet } from "./testing/packets.ts";
import { world } from "./testing/worlds.ts";

type Spec = NonNullable<NetworkPolicy["spec"]>;

const pod = (ip: string, app: string, o: Partial<PolicyPod> = {}): PolicyPod => ({
  namespace: "default",
  labels: { app },
  ip,
  ports: [{ name: "http", protocol: "TCP", port: 8080 }],
  local: true,
  ...o,
});
const policy = (name: string, spec: Spec, namespace = "default"): NetworkPolicy => ({
  metadata: { name, namespace },
  spec,
});
const WEB = pod("10.244.0.2", "web");
const CLIENT = pod("10.244.0.3", "client");
const FAR = pod("10.244.1.4", "client", { local: false, namespace: "other" });
const DNS = pod("10.244.0.1", "", {
  namespace: "kube-system",
  labels: { "k8s-app": "kube-dns" },
  local: false,
  ports: [],
});
const OUTSIDE = "203.0.113.9";
const input = (...policies: NetworkPolicy[]): PolicyInput => ({
  policies,
  pods: [WEB, CLIENT, FAR, DNS],
  namespaces: new Map([
    ["default", { team: "a" }],
    ["other", { team: "b" }],
    ["kube-system", { "kubernetes.io/metadata.name": "kube-system" }],
  ]),
});
const web = { podSelector: { matchLabels: { app: "web" } } };
const tcp = (from: string, to: string, port = 80): Packet => ({ from, to, protocol: "tcp", port });
const passes = (i: PolicyInput, p: Packet) => judge(planPolicies(i), "policy-forward", p) !== "drop";

/** Each packet: from, to and port, and whether it passes. */
type Case = readonly [
  what: string,
  spec: Spec,
  ...packets: (readonly [from: string, to: string, port: number, passes: boolean])[],
];
const cases: readonly Case[] = [
  [
    "default deny of ingress: nothing comes in; it may still go out",
    { ...web },
    [CLIENT.ip, WEB.ip, 80, false],
    [OUTSIDE, WEB.ip, 80, false],
    [WEB.ip, CLIENT.ip, 80, true],
    [CLIENT.ip, FAR.ip, 80, true],
    [WEB.ip, WEB.ip, 80, true],
  ],
  [
    "default deny of egress",
    { ...web, policyTypes: ["Egress"] },
    [WEB.ip, CLIENT.ip, 80, false],
    [WEB.ip, DNS.ip, 53, false],
    [WEB.ip, OUTSIDE, 80, false],
    [CLIENT.ip, WEB.ip, 80, true],
  ],
  [
    "egress rules make it a policy of egress, too; ingress is denied by it as well",
    { ...web, egress: [{}] },
    [WEB.ip, OUTSIDE, 80, true],
    [CLIENT.ip, WEB.ip, 80, false],
  ],
  ["one empty rule allows all", { ...web, ingress: [{}] }, [OUTSIDE, WEB.ip, 9, true], [FAR.ip, WEB.ip, 9, true]],
  [
    "by labels: of the policy's own namespace",
    { ...web, ingress: [{ from: [{ podSelector: { matchLabels: { app: "client" } } }] }] },
    [CLIENT.ip, WEB.ip, 80, true],
    [FAR.ip, WEB.ip, 80, false],
    [OUTSIDE, WEB.ip, 80, false],
  ],
  [
    "by namespaces",
    { ...web, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "b" } } }] }] },
    [FAR.ip, WEB.ip, 80, true],
    [CLIENT.ip, WEB.ip, 80, false],
  ],
  [
    "by both together",
    {
      ...web,
      ingress: [
        { from: [{ namespaceSelector: { matchLabels: { team: "b" } }, podSelector: { matchLabels: { app: "x" } } }] },
      ],
    },
    [FAR.ip, WEB.ip, 80, false],
    [CLIENT.ip, WEB.ip, 80, false],
  ],
  [
    "by address, with holes",
    { ...web, ingress: [{ from: [{ ipBlock: { cidr: "203.0.113.0/24", except: ["203.0.113.8/30"] } }] }] },
    ["203.0.113.7", WEB.ip, 80, true],
    [OUTSIDE, WEB.ip, 80, false],
    ["203.0.113.12", WEB.ip, 80, true],
    [CLIENT.ip, WEB.ip, 80, false],
  ],
  [
    "ports: by number, range and name",
    { ...web, ingress: [{ ports: [{ port: 80 }, { port: 1000, endPort: 1009 }, { port: "http" }] }] },
    [CLIENT.ip, WEB.ip, 80, true],
    [CLIENT.ip, WEB.ip, 81, false],
    [CLIENT.ip, WEB.ip, 1009, true],
    [CLIENT.ip, WEB.ip, 1010, false],
    [CLIENT.ip, WEB.ip, 8080, true],
  ],
  [
    "a protocol without a port",
    { ...web, ingress: [{ ports: [{ protocol: "UDP" }] }] },
    [CLIENT.ip, WEB.ip, 80, false],
  ],
  [
    "a named port of those that may be talked to",
    { ...web, policyTypes: ["Egress"], egress: [{ to: [{ podSelector: {} }], ports: [{ port: "http" }] }] },
    [WEB.ip, CLIENT.ip, 8080, true],
    [WEB.ip, CLIENT.ip, 8081, false],
    [WEB.ip, FAR.ip, 8080, false],
  ],
  [
    "the cluster's DNS is found by the labels that everybody uses",
    {
      ...web,
      policyTypes: ["Egress"],
      egress: [
        {
          to: [
            {
              namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
              podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
            },
          ],
          ports: [{ port: 53, protocol: "TCP" }],
        },
      ],
    },
    [WEB.ip, DNS.ip, 53, true],
    [WEB.ip, DNS.ip, 54, false],
    [WEB.ip, CLIENT.ip, 53, false],
  ],
];

describe("what a policy does", () => {
  test.each(cases)("%s", (_what, spec, ...packets) => {
    const i = input(policy("p", spec));
    expect(packets.map(([from, to, port]) => [from, to, port, passes(i, tcp(from, to, port))])).toEqual(packets);
  });

  test("several policies of a Pod add up", () => {
    const i = input(
      policy("a", { ...web, ingress: [{ ports: [{ port: 80 }] }] }),
      policy("b", { ...web, ingress: [{ ports: [{ port: 81 }] }] }),
    );
    expect([80, 81, 82].map((port) => passes(i, tcp(CLIENT.ip, WEB.ip, port)))).toEqual([true, true, false]);
  });

  test("what goes to the node itself is judged by egress alone", () => {
    const closed = planPolicies(input(policy("p", { ...web, policyTypes: ["Ingress", "Egress"] })));
    expect(judge(closed, "policy-input", tcp(WEB.ip, "192.0.2.2", 6443))).toBe("drop");
    expect(judge(closed, "policy-input", tcp(CLIENT.ip, "192.0.2.2", 6443))).toBe("accept");
  });
});

describe("what the table holds", () => {
  test("nothing, where no Pod of the node is isolated", () => {
    expect(planPolicies(input())).toEqual({});
    expect(planPolicies(input(policy("p", { podSelector: { matchLabels: { app: "none" } } })))).toEqual({});
    expect(planPolicies({ ...input(policy("p", web, "other")), pods: [FAR] })).toEqual({});
  });

  test("chains for each set of policies, not for each Pod; sets for each selector", () => {
    const twins = Array.from({ length: 50 }, (_, i) => pod(`10.244.0.${i + 50}`, "web"));
    const from = [{ podSelector: { matchLabels: { app: "client" } } }];
    const two = [
      policy("a", { ...web, ingress: [{ from }] }),
      policy("b", { ...web, ingress: [{ from, ports: [{ port: 1 }] }] }),
    ];
    const { chains = {}, sets = {}, maps = {} } = planPolicies({ ...input(...two), pods: [...twins, CLIENT] });
    expect(Object.keys(chains)).toHaveLength(3);
    expect(Object.keys(sets)).toHaveLength(2);
    expect(maps["policy-ingress"]?.elements.size).toBe(50);
  });

  test("the same whatever the order of what it is told", () => {
    const two = [policy("a", { ...web, ingress: [{ ports: [{ port: 1 }] }] }), policy("b", web)];
    const text = (i: PolicyInput) => renderRuleset("t", mergeRulesets([EMPTY_RULESET, planPolicies(i)]));
    expect(text(input(...two.toReversed()))).toBe(text(input(...two)));
  });

  test("as nft reads it", () => {
    const spec = {
      ...web,
      ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8" } }, { podSelector: {} }], ports: [{ port: 80 }] }],
    };
    expect(planPolicies(input(policy("p", spec)))).toMatchInlineSnapshot(`
{
  "chains": {
    "policy-forward": {
      "hook": {
        "at": "forward",
        "priority": "filter - 4",
        "type": "filter",
      },
      "rules": [
        "ct state established,related accept",
        "ip saddr . ip daddr @policy-self accept",
        "ip saddr vmap @policy-egress",
        "ip daddr vmap @policy-ingress",
      ],
    },
    "policy-ingress-58d2fc9339ca": {
      "rules": [
        "ip saddr @policy-pods-84d282db507f tcp dport { 80 } return comment "default/p"",
        "ip saddr @policy-blocks-2488bf169e48 tcp dport { 80 } return comment "default/p"",
        "drop",
      ],
    },
    "policy-input": {
      "hook": {
        "at": "input",
        "priority": "filter - 4",
        "type": "filter",
      },
      "rules": [
        "ct state established,related accept",
        "ip saddr vmap @policy-egress",
      ],
    },
  },
  "maps": {
    "policy-egress": {
      "elements": Map {},
      "of": "type ipv4_addr : verdict",
    },
    "policy-ingress": {
      "elements": Map {
        "10.244.0.2" => "jump policy-ingress-58d2fc9339ca",
      },
      "of": "type ipv4_addr : verdict",
    },
  },
  "sets": {
    "policy-blocks-2488bf169e48": {
      "elements": Set {
        "10.0.0.0-10.255.255.255",
      },
      "of": "type ipv4_addr",
      "options": "flags interval",
    },
    "policy-pods-84d282db507f": {
      "elements": Set {
        "10.244.0.2",
        "10.244.0.3",
      },
      "of": "type ipv4_addr",
    },
    "policy-self": {
      "elements": Set {
        "10.244.0.2 . 10.244.0.2",
      },
      "of": "type ipv4_addr . ipv4_addr",
    },
  },
}
`);
  });
});

const PORTS = [0, 53, 80, 81, 8080];

test("the rules let pass what the policies allow, and nothing else", () => {
  fc.assert(
    fc.property(world, (i) => {
      const table = planPolicies(i);
      const ips = [...i.pods.map((p) => p.ip), "203.0.113.9", "203.0.113.200"];
      for (const from of ips) {
        for (const to of ips) {
          for (const packet of PORTS.flatMap((n) =>
            (n === 0 ? (["icmp"] as const) : (["tcp", "udp"] as const)).map((p): Packet => ({
              from,
              to,
              protocol: p,
              port: n,
            })),
          )) {
            const verdict = judge(table, "policy-forward", packet) !== "drop";
            expect({ ...packet, passes: verdict }).toEqual({ ...packet, passes: allowed(i, packet) });
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});
