import { expect, test } from "@jest/globals";
import type { LeaseSpec } from "../api/generated/types.ts";
import { nextSpec } from "./leader.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const now = "2026-01-01T12:00:00.000000Z";
const earlier = "2026-01-01T11:00:00.000000Z";
const of = (holderIdentity: string | undefined, more: LeaseSpec = {}): LeaseSpec => ({
  ...(holderIdentity !== undefined && { holderIdentity }),
  leaseDurationSeconds: 15,
  acquireTime: earlier,
  renewTime: earlier,
  leaseTransitions: 4,
  ...more,
});
const mine = { holderIdentity: "me", leaseDurationSeconds: 3, renewTime: now };
const taken = { ...mine, acquireTime: now, leaseTransitions: 5 };

test.each<[string, LeaseSpec | undefined, boolean, LeaseSpec | undefined]>([
  ["there is none", undefined, false, { ...mine, acquireTime: now, leaseTransitions: 0 }],
  ["it is one's own: renewed, neither acquired nor passed on", of("me"), false, { ...of("me"), ...mine }],
  ["it is one's own, and old", of("me"), true, { ...of("me"), ...mine }],
  ["another has it", of("you"), false, undefined],
  ["another had it, and gives no sign of life", of("you"), true, taken],
  ["it was let go", of(undefined), false, taken],
  ["it was let go as client-go before 1.31 does", of(""), false, taken],
  [
    "what time another's clock shows does not matter",
    of("you", { renewTime: "2020-01-01T00:00:00.000000Z" }),
    false,
    undefined,
  ],
])("a Lease is taken or not: %s", (_, old, expired, next) => {
  expect(nextSpec(old, { identity: "me", leaseMs: 2_500, now: NOW, expired })).toEqual(next);
});
