import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { SKEW_MS } from "../../util/pki.ts";
import { need, renewalOf, renewalShare, wantedOf } from "./plan.ts";

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 0, 1);
const node = { nodeName: "n1", address: "10.0.0.7" };
const [client, serving] = [wantedOf("client", node), wantedOf("serving", node)];
const held = (lifeMs: number, more: object = {}) => ({
  notBefore: NOW - SKEW_MS,
  notAfter: NOW + lifeMs,
  commonName: "system:node:n1",
  names: ["n1", "10.0.0.7"],
  ...more,
});

describe("what a node needs", () => {
  test.each<[string, ReturnType<typeof held> | undefined, number, object]>([
    ["the first", undefined, 0, { ask: true, why: "Missing" }],
    ["nothing, early in its life", held(10 * HOUR), 0, { ask: false, lookAfterMs: HOUR }],
    ["nothing, shortly before it is time", held(10 * HOUR), 8 * HOUR - 5, { ask: false, lookAfterMs: 5 }],
    ["the next, when it is time", held(10 * HOUR), 8 * HOUR, { ask: true, why: "Expiring" }],
    ["the next, too late", held(10 * HOUR), 10 * HOUR, { ask: true, why: "Expired" }],
    ["one with its address", held(10 * HOUR, { names: ["n1", "10.0.0.8"] }), 0, { ask: true, why: "OtherNames" }],
    ["one of its own", held(10 * HOUR, { commonName: "system:node:n2" }), 0, { ask: true, why: "OtherNames" }],
  ])("%s", (_, certificate, later, expected) => {
    expect(need(certificate, serving, 0.8, NOW + later)).toEqual(expected);
  });

  test("to be known by, no addresses", () => {
    expect(client).toMatchObject({ organizations: ["system:nodes"], dnsNames: [], ips: [] });
    expect(need(held(10 * HOUR, { names: [] }), client, 0.8, NOW).ask).toBe(false);
  });

  test("however short its life, it is renewed within it, and not before most of it is over", () => {
    const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }).map((x) => renewalShare(() => x));
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 400 * 24 * HOUR }), share, (lifeMs, s) => {
        const at = renewalOf(held(lifeMs), s) - NOW;
        expect(at).toBeGreaterThanOrEqual(0.7 * lifeMs - 1);
        expect(at).toBeLessThanOrEqual(0.9 * lifeMs + 1);
      }),
    );
  });
});
