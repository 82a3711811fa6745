import { describe, expect, test } from "@jest/globals";
import type { EndpointSlice, Node } from "../api/generated/types.ts";
import { type Traffic, trafficOf } from "./drain.ts";

const node = (name: string, ready = "True"): Node => ({
  metadata: { name },
  status: { conditions: [{ type: "Ready", status: ready }] },
});
const slice = (resourceVersion: string, uid: string, conditions: object): EndpointSlice => ({
  metadata: { name: `s${resourceVersion}`, resourceVersion },
  addressType: "IPv4",
  endpoints: [{ addresses: ["10.0.0.1"], targetRef: { uid }, conditions }],
});
const READY = { ready: true, serving: true, terminating: false };
const LEAVING = { ready: false, serving: true, terminating: true };
/** A Service that wants its endpoints published whatever they are. */
const PUBLISHED = { ready: true, serving: true, terminating: true };

describe("trafficOf", () => {
  test.each<[string, EndpointSlice[], Node[], Record<string, bigint>, Traffic]>([
    ["a Pod in no slice", [slice("9", "other", READY)], [node("n1")], { n1: 1n }, "out"],
    ["still ready in one", [slice("5", "p", READY)], [node("n1")], { n1: 9n }, "offered"],
    ["ready in one of two", [slice("5", "p", LEAVING), slice("6", "p", READY)], [node("n1")], { n1: 9n }, "offered"],
    ["no proxy knows", [slice("5", "p", LEAVING)], [node("n1")], { n1: 4n }, "told"],
    ["one of two knows", [slice("5", "p", LEAVING)], [node("n1"), node("n2")], { n1: 5n, n2: 4n }, "told"],
    ["all know", [slice("5", "p", LEAVING)], [node("n1"), node("n2")], { n1: 5n, n2: 7n }, "out"],
    [
      "the newest of its slices counts",
      [slice("5", "p", LEAVING), slice("10", "p", LEAVING)],
      [node("n1")],
      { n1: 9n },
      "told",
    ],
    [
      "a dead node is not waited for",
      [slice("5", "p", LEAVING)],
      [node("n1"), node("n2", "Unknown")],
      { n1: 5n, n2: 1n },
      "out",
    ],
    ["nor one without a proxy", [slice("5", "p", LEAVING)], [node("n1"), node("n2")], { n1: 5n }, "out"],
    ["published though it ends", [slice("5", "p", PUBLISHED)], [node("n1")], { n1: 5n }, "out"],
  ])("%s", (_, slices, nodes, applied, expected) => {
    expect(trafficOf("p", slices, nodes, (name) => applied[name])).toBe(expected);
  });
});
