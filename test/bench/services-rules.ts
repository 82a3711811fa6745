/**
 * How long a change of one Service's endpoints takes until the kernel has it, with so many Services: in a network namespace
 * of its own (`unshare --net`), by the proxy's own plan, difference and table. Prints milliseconds as JSON.
 */
import type { EndpointSlice } from "../../pkg/api/generated/types.ts";
import { diffRulesets, renderRuleset } from "../../pkg/network/nft/ruleset.ts";
import { nftTable } from "../../pkg/network/nft/table.ts";
import { ProxyPlan } from "../../pkg/network/proxy/plan.ts";

const [count = 0] = process.argv.slice(2).map(Number);
const ENDPOINTS = 3;
const CHANGES = 60;
const facts = { nodeName: "n1", zone: undefined, podCidrs: ["10.244.0.0/16"] };
const signal = new AbortController().signal;
const table = nftTable("mini-kube-bench");

const octets = (n: number) => `${n >> 8}.${n & 255}`;
const service = (i: number) => ({
  metadata: { namespace: "default", name: `s${i}` },
  spec: { type: "ClusterIP", clusterIP: `10.96.${octets(i + 1)}`, ports: [{ port: 80, protocol: "TCP" }] },
});
/** `generation`: so many of its Pods were replaced. */
const slice = (i: number, generation: number): EndpointSlice => ({
  metadata: {},
  addressType: "IPv4",
  ports: [{ name: "", port: 8080 }],
  endpoints: Array.from({ length: ENDPOINTS }, (_, e) => ({
    addresses: [`10.244.${octets((i * ENDPOINTS + e + (e === 0 ? generation : 0)) & 0xffff)}`],
    conditions: { ready: true },
  })),
});

const plan = new ProxyPlan();
const update = (i: number, generation: number) =>
  plan.update(`default/s${i}`, { service: service(i), slices: [slice(i, generation)], facts });
for (let i = 0; i < count; i++) update(i, 0);
let before = plan.ruleset(facts);
const began = performance.now();
await table.apply(renderRuleset(table.name, before), signal);
const full = performance.now() - began;

const changes: number[] = [];
for (let g = 1; g <= CHANGES; g++) {
  const started = performance.now();
  update((g * 7919) % count, g);
  const after = plan.ruleset(facts);
  await table.apply(diffRulesets(table.name, before, after), signal);
  before = after;
  changes.push(performance.now() - started);
}
process.stdout.write(`${JSON.stringify({ full, changes })}\n`);
