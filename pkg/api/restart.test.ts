import { describe, expect, test } from "@jest/globals";
import type { Container } from "./generated/types.ts";
import { BACKOFF_BASE, BACKOFF_MAX, restartBackoff, validateRestartBackoff } from "./restart-backoff.ts";
import { restartsAfter } from "./restart-policy.ts";

const rule = (operator: string, ...values: number[]) => [{ action: "Restart", exitCodes: { operator, values } }];
const c = (o: Partial<Container> = {}): Container => ({ name: "c", image: "app", ...o });

/** What Pod and container say, and whether exit codes 0, 1 and 42 are followed by another start. */
test.each<[string, string, Partial<Container>, boolean[]]>([
  ["the Pod's word", "Always", {}, [true, true, true]],
  ["the Pod's word", "OnFailure", {}, [false, true, true]],
  ["the Pod's word", "Never", {}, [false, false, false]],
  ["the container's own", "Always", { restartPolicy: "Never" }, [false, false, false]],
  ["the container's own", "Never", { restartPolicy: "OnFailure" }, [false, true, true]],
  ["a rule", "Never", { restartPolicy: "Never", restartPolicyRules: rule("In", 42) }, [false, false, true]],
  ["a rule", "Never", { restartPolicy: "Never", restartPolicyRules: rule("NotIn", 0, 42) }, [false, true, false]],
  [
    "a rule that says more",
    "Never",
    { restartPolicy: "Always", restartPolicyRules: rule("In", 1) },
    [true, true, true],
  ],
  ["a rule without a policy", "Never", { restartPolicyRules: rule("In", 42) }, [false, false, false]],
])("%s counts (%s, %j)", (_, restartPolicy, container, expected) => {
  expect([0, 1, 42].map((code) => restartsAfter({ restartPolicy }, c(container), code))).toEqual(expected);
});

describe("pauses between restarts", () => {
  const annotations = (base?: string, max?: string) => ({
    ...(base !== undefined && { [BACKOFF_BASE]: base }),
    ...(max !== undefined && { [BACKOFF_MAX]: max }),
  });

  test.each([
    [undefined, undefined, 10_000, 300_000],
    ["500ms", "5s", 500, 5_000],
    ["1m30s", undefined, 90_000, 300_000],
    [undefined, "2s", 2_000, 2_000],
    ["10m", undefined, 600_000, 600_000],
    ["0.5s", "1h", 500, 3_600_000],
  ])("base %j, max %j", (base, max, initialMs, maxMs) => {
    expect(validateRestartBackoff(annotations(base, max), "metadata.annotations")).toEqual([]);
    expect(restartBackoff(annotations(base, max))).toEqual({ initialMs, maxMs });
  });

  test.each([
    ["soon", undefined, BACKOFF_BASE],
    ["", undefined, BACKOFF_BASE],
    ["10", undefined, BACKOFF_BASE],
    ["-1s", undefined, BACKOFF_BASE],
    ["99ms", undefined, BACKOFF_BASE],
    [undefined, "61m", BACKOFF_MAX],
    ["10s", "5s", BACKOFF_MAX],
  ])("base %j, max %j is refused", (base, max, key) => {
    const errors = validateRestartBackoff(annotations(base, max), "metadata.annotations");
    expect(errors.map((e) => [e.type, e.field])).toEqual([["Invalid", `metadata.annotations[${key}]`]]);
  });
});
