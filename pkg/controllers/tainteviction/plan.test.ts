import { describe, expect, test } from "@jest/globals";
import type { Pod, Taint, Toleration } from "../../api/generated/types.ts";
import { disruptedStatus, mustGoAt, tolerationStart } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const now = "2026-01-01T12:00:00Z";
const pod = (tolerations: Toleration[] = [], metadata: object = {}): Pod => ({
  metadata: { name: "web", ...metadata },
  spec: { containers: [], tolerations },
});
const taint = (key: string, effect = "NoExecute"): Taint => ({ key, effect });
const put = (key: string, tolerationSeconds?: number): Toleration => ({
  key,
  operator: "Exists",
  effect: "NoExecute",
  ...(tolerationSeconds !== undefined && { tolerationSeconds }),
});
const [AT_ONCE, NEVER] = [-Infinity, Infinity];

describe("a Pod must go", () => {
  test.each<[string, Pod, Taint[], number]>([
    ["never, without taints", pod(), [], NEVER],
    ["never, for a taint that only keeps away", pod(), [taint("a", "NoSchedule")], NEVER],
    ["at once, if it does not tolerate one", pod([put("a", 9)]), [taint("a"), taint("b")], AT_ONCE],
    ["when its time is over", pod([put("a", 9)]), [taint("a")], NOW + 9_000],
    ["at once, if it has no time", pod([put("a", 0)]), [taint("a")], AT_ONCE],
    ["at once, if its time is less than none", pod([put("a", -5)]), [taint("a")], AT_ONCE],
    ["never, if it tolerates it for ever", pod([put("a")]), [taint("a")], NEVER],
    ["when the first of its times is over", pod([put("a", 9), put("b", 3)]), [taint("a"), taint("b")], NOW + 3_000],
    ["by the first toleration that fits", pod([put("a", 9), put("a", 3)]), [taint("a")], NOW + 9_000],
    ["never again, if it goes already", pod([], { deletionTimestamp: now }), [taint("a")], NEVER],
  ])("%s", (_, p, taints, expected) => {
    expect(mustGoAt(p, taints, () => NOW)).toBe(expected);
  });
});

test.each<[string, object, string | undefined, number]>([
  ["when it was seen first", { creationTimestamp: "2026-01-01T11:00:00Z" }, undefined, NOW],
  ["no sooner than its second is over", { creationTimestamp: "2026-01-01T11:00:00Z" }, now, NOW],
  [
    "when it was added, if nobody looked",
    { creationTimestamp: "2026-01-01T11:00:00Z" },
    "2026-01-01T11:30:00Z",
    NOW - 1_799_000,
  ],
  ["when the Pod came, if that was later", { creationTimestamp: "2026-01-01T11:45:00Z" }, "2026-01-01T11:30:00Z", NOW],
])("a taint counts from %s", (_, metadata, timeAdded, expected) => {
  expect(tolerationStart(pod([], metadata), { ...taint("a"), ...(timeAdded && { timeAdded }) }, NOW)).toBe(expected);
});

test("why it goes is said once", () => {
  const status = disruptedStatus(pod(), NOW);
  expect(status?.conditions).toEqual([
    {
      type: "DisruptionTarget",
      status: "True",
      reason: "DeletionByTaintManager",
      message: "Taint manager: deleting due to NoExecute taint",
      lastTransitionTime: now,
    },
  ]);
  expect(disruptedStatus({ ...pod(), ...(status && { status }) }, NOW + 9_000)).toBeUndefined();
});
