import { expect, test } from "@jest/globals";
import type { PodCondition } from "../../api/generated/types.ts";
import { rfc3339 } from "../../util/clock.ts";
import { isStuck } from "./update.ts";

const NOW = Date.UTC(2026, 0, 1);
const minutes = (n: number) => rfc3339(NOW - n * 60_000);

test.each<[string, Partial<PodCondition> | undefined, boolean]>([
  ["nothing is pending", undefined, false],
  ["never", { reason: "Infeasible", lastTransitionTime: minutes(0) }, true],
  ["not yet", { reason: "Deferred", lastTransitionTime: minutes(4) }, false],
  ["not for long", { reason: "Deferred", lastTransitionTime: minutes(5) }, true],
  ["no more", { status: "False", reason: "Deferred", lastTransitionTime: minutes(9) }, false],
])("a resize that its node grants: %s", (_, pending, expected) => {
  const conditions: PodCondition[] = pending ? [{ type: "PodResizePending", status: "True", ...pending }] : [];
  expect(isStuck({ metadata: {}, status: { conditions } }, NOW)).toBe(expected);
});
