import { describe, expect, it } from "@jest/globals";
import type { Namespace } from "../../api/generated/types.ts";
import { planNamespace, type Contents } from "./plan.ts";

const deletedAt = Date.UTC(2026, 0, 1);
const terminating: Namespace = {
  metadata: { name: "shop", deletionTimestamp: "2026-01-01T00:00:00Z" },
  spec: { finalizers: ["kubernetes", "example.com/mine"] },
  status: { phase: "Terminating" },
};
const pods: Contents = { remaining: [{ resource: "pods.", count: 2, finalizers: { "test/hold": 1 } }], failures: [] };

describe("planNamespace", () => {
  it("lets go of an empty namespace, and leaves others' finalizers", () => {
    const action = planNamespace(terminating, { remaining: [], failures: [] }, deletedAt);
    expect(action).toEqual({ type: "finalize", finalizers: ["example.com/mine"] });
  });

  it("says what remains, in Kubernetes' words", () => {
    const action = planNamespace(terminating, pods, deletedAt + 1_000);
    expect(action.type === "wait" && action.conditions?.map((c) => [c.type, c.status, c.reason, c.message])).toEqual([
      ["NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"],
      [
        "NamespaceDeletionGroupVersionParsingFailure",
        "False",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
      ],
      [
        "NamespaceDeletionContentFailure",
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
      ],
      [
        "NamespaceContentRemaining",
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: pods. has 2 resource instances",
      ],
      [
        "NamespaceFinalizersRemaining",
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: test/hold in 1 resource instances",
      ],
    ]);
  });

  it("writes conditions only when they change, and keeps the time of the transition", () => {
    const first = planNamespace(terminating, pods, deletedAt + 1_000);
    const conditions = first.type === "wait" ? [...(first.conditions ?? [])] : [];
    const told: Namespace = { ...terminating, status: { phase: "Terminating", conditions } };
    expect(planNamespace(told, pods, deletedAt + 9_000)).toMatchObject({ conditions: undefined });

    const failed = planNamespace(told, { ...pods, failures: ["secrets: no"] }, deletedAt + 9_000);
    expect(failed).toMatchObject({
      conditions: [
        {},
        {},
        {
          status: "True",
          message: "Failed to delete all resource types, 1 remaining: secrets: no",
          lastTransitionTime: "2026-01-01T00:00:09Z",
        },
        { lastTransitionTime: "2026-01-01T00:00:01Z" },
        {},
      ],
    });
  });

  it.each([
    [0, 200],
    [4_000, 1_000],
    [3_600_000, 5_000],
  ])("after %d ms it looks again in %d ms", (passed, againAfterMs) => {
    expect(planNamespace(terminating, pods, deletedAt + passed)).toMatchObject({ againAfterMs });
  });
});
