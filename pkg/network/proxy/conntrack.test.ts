import { expect, test } from "@jest/globals";
import { conntrackArguments, staleFlows } from "./conntrack.ts";
import { serviceRules } from "./service-rules.ts";
import { type EndpointShorthand, FACTS, serviceOf, sliceOf } from "./testing/objects.ts";

const dns = serviceOf("dns", {
  type: "NodePort",
  externalTrafficPolicy: "Local",
  ports: [{ port: 53, protocol: "UDP", nodePort: 30053 }],
});
const rules = (endpoints: Readonly<Record<string, EndpointShorthand>>) =>
  serviceRules(dns, [sliceOf(endpoints, { protocol: "UDP" })], FACTS);
const commands = (
  before: Readonly<Record<string, EndpointShorthand>>,
  after: Readonly<Record<string, EndpointShorthand>>,
) => [...new Set(staleFlows(rules(before), rules(after)).map((f) => conntrackArguments(f).join(" ")))];

test("flows to an endpoint that is gone are deleted, those to others stay", () => {
  expect(commands({ "10.244.0.2": {}, "10.244.0.3": {} }, { "10.244.0.3": {} })).toEqual([
    "-D -p udp --orig-port-dst 53 --orig-dst 10.96.0.5 --dst-nat 10.244.0.2 --reply-port-src 8080",
    "-D -p udp --orig-port-dst 30053 --dst-nat 10.244.0.2 --reply-port-src 8080",
  ]);
});

test("flows that went nowhere are deleted when there is somebody", () => {
  expect(commands({}, { "10.244.0.3": {} })).toEqual([
    "-D -p udp --orig-port-dst 53 --orig-dst 10.96.0.5",
    "-D -p udp --orig-port-dst 30053",
  ]);
});

test("another endpoint more, or TCP, is nothing to do", () => {
  expect(commands({ "10.244.0.2": {} }, { "10.244.0.2": {}, "10.244.0.3": {} })).toEqual([]);
  const tcp = serviceOf("web", {});
  const before = serviceRules(tcp, [sliceOf({ "10.244.0.2": {} })], FACTS);
  expect(staleFlows(before, serviceRules(tcp, [sliceOf({})], FACTS))).toEqual([]);
});
