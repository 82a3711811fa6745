/** Clusters made by chance: few names, so that policies, Pods and peers meet often. */
import fc from "fast-check";
import type { NetworkPolicy } from "../../../api/generated/types.ts";
import type { PolicyInput, PolicyPod } from "../selection.ts";

const LABELS = fc.record({ app: fc.constantFrom("web", "client"), tier: fc.constantFrom("x", "y") });
const selector = fc
  .record({ matchLabels: LABELS }, { requiredKeys: [] })
  .chain((s) => fc.boolean().map((half) => (half && s.matchLabels ? { matchLabels: { app: s.matchLabels.app } } : s)));
const NAMESPACES = ["default", "other", "third"];
const block = fc
  .record({
    cidr: fc.constantFrom("10.244.0.0/16", "10.244.0.0/29", "0.0.0.0/0", "203.0.113.0/24"),
    except: fc.subarray(["10.244.0.2/31", "10.244.0.4/32", "203.0.113.0/25"]),
  })
  .map((ipBlock) => ({ ipBlock }));
const teams = fc.constantFrom({}, { matchLabels: { team: "a" } }, { matchLabels: { team: "b" } });
const peer = fc.oneof(
  block,
  fc.record({ podSelector: selector }),
  fc.record({ namespaceSelector: teams }),
  fc.record({ podSelector: selector, namespaceSelector: teams }),
);
const protocol = fc.constantFrom("TCP", "UDP");
const port = fc.oneof(
  fc.record({ protocol }),
  fc.record({ protocol, port: fc.constantFrom(53, 80, "http", "dns") }),
  fc.constant({ port: 80, endPort: 8080 }),
);
const rules = (side: "from" | "to") =>
  fc.array(
    fc
      .record({ peers: fc.array(peer, { maxLength: 3 }), ports: fc.array(port, { maxLength: 3 }) })
      .map(({ peers, ports }) => ({ [side]: peers, ports })),
    { maxLength: 2 },
  );
const spec = fc.record(
  {
    podSelector: selector,
    policyTypes: fc.subarray(["Ingress", "Egress"], { minLength: 1 }),
    ingress: rules("from"),
    egress: rules("to"),
  },
  { requiredKeys: ["podSelector"] },
);
const namedPorts = fc.subarray([
  { name: "http", protocol: "TCP", port: 8080 },
  { name: "dns", protocol: "UDP", port: 53 },
]);
const somePods = fc
  .array(
    fc.record({ namespace: fc.constantFrom(...NAMESPACES), labels: LABELS, ports: namedPorts, local: fc.boolean() }),
    { maxLength: 7 },
  )
  .map((all) => all.map((p, i): PolicyPod => ({ ...p, ip: `10.244.0.${i + 1}` })));
export const world: fc.Arbitrary<PolicyInput> = fc.record({
  policies: fc
    .array(fc.record({ namespace: fc.constantFrom(...NAMESPACES), spec }), { maxLength: 5 })
    .map((all) =>
      all.map((p, i) => ({ metadata: { name: `p${i}`, namespace: p.namespace }, spec: p.spec }) as NetworkPolicy),
    ),
  pods: somePods,
  namespaces: fc.constant(
    new Map([
      ["default", { team: "a" }],
      ["other", { team: "b" }],
    ]),
  ),
});
