/** ResourceQuotas and LimitRanges, budgets and priorities: what bounds others. */
import { describe, expect, test } from "@jest/globals";
import { podDisruptionBudgets } from "../policy/poddisruptionbudget.ts";
import { priorityClasses, SYSTEM_PRIORITY_CLASSES } from "../scheduling/priorityclass.ts";
import { complaints, created, headings, row, updated, writePart } from "../testing/writes.ts";
import { limitRanges } from "./limitrange.ts";
import { resourceQuotas } from "./resourcequota.ts";

describe("a ResourceQuota", () => {
  const manifest = {
    metadata: { name: "q" },
    spec: { hard: { pods: "10", "limits.cpu": "2", "requests.cpu": "0.5", "count/widgets.example.com": "3" } },
  };

  test("shows what is used of what", () => {
    const o = created(resourceQuotas, manifest);
    expect(complaints(resourceQuotas, o)).toEqual([]);
    expect(headings(resourceQuotas)).toBe("Name Request Limit Age");
    expect(row(resourceQuotas, o)).toEqual(["q", "", "", "60m"]);
    o.status = { hard: { ...o.spec?.hard }, used: { pods: "3", "limits.cpu": "250m" } };
    expect(row(resourceQuotas, o)).toEqual([
      "q",
      "count/widgets.example.com: 0/3, pods: 3/10, requests.cpu: 0/500m",
      "limits.cpu: 250m/2",
      "60m",
    ]);
  });

  test("reports amounts only", () => {
    const { errors } = writePart(resourceQuotas, "status", created(resourceQuotas, manifest), (o) => {
      o.status = { hard: { pods: "1500m" }, used: { gold: "1", memory: "-1" } };
    });
    expect(errors).toEqual([
      'status.hard[pods]: Invalid value: "1500m": must be an integer',
      'status.used[gold]: Invalid value: "gold": must be a standard resource type or fully qualified',
      'status.used[gold]: Invalid value: "gold": must be a standard resource for quota',
      'status.used[memory]: Invalid value: "-1": must be greater than or equal to 0',
    ]);
  });

  test("keeps its scopes", () => {
    const old = created(resourceQuotas, { metadata: { name: "q" }, spec: { scopes: ["BestEffort"] } });
    const next = updated(resourceQuotas, { metadata: { name: "q" }, spec: { scopes: ["NotBestEffort"] } }, old);
    expect(complaints(resourceQuotas, next, old)).toEqual([
      'spec.scopes: Invalid value: ["NotBestEffort"]: field is immutable',
    ]);
  });
});

describe("a LimitRange", () => {
  test("derives what it does not say", () => {
    const limit = {
      type: "Container",
      max: { cpu: "2", memory: "1Gi" },
      min: { cpu: "100m", "ephemeral-storage": "1Gi" },
      default: { cpu: "1" },
    };
    const o = created(limitRanges, {
      metadata: { name: "l" },
      spec: { limits: [limit, { type: "Pod", max: { cpu: "4" } }] },
    });
    expect(complaints(limitRanges, o)).toEqual([]);
    expect(o.spec?.limits[0]).toMatchObject({
      default: { cpu: "1", memory: "1Gi" },
      defaultRequest: { cpu: "1", memory: "1Gi", "ephemeral-storage": "1Gi" },
    });
    expect(o.spec?.limits[1]).toEqual({ type: "Pod", max: { cpu: "4" } });
    expect(headings(limitRanges)).toBe("Name Created At");
    expect(row(limitRanges, o)).toEqual(["l", "2026-01-01T00:00:00Z"]);
  });
});

describe("a PodDisruptionBudget", () => {
  test("shows its bounds", () => {
    const o = created(podDisruptionBudgets, { metadata: { name: "b" }, spec: { maxUnavailable: "30%" } });
    expect(complaints(podDisruptionBudgets, o)).toEqual([]);
    expect(headings(podDisruptionBudgets)).toBe("Name Min Available Max Unavailable Allowed Disruptions Age");
    expect(row(podDisruptionBudgets, o)).toEqual(["b", "N/A", "30%", 0, "60m"]);
    const none = created(podDisruptionBudgets, { metadata: { name: "b" }, spec: { minAvailable: 0 } });
    expect(row(podDisruptionBudgets, none).slice(1, 3)).toEqual(["0", "N/A"]);
  });

  test("reports counts, and whole conditions", () => {
    const old = created(podDisruptionBudgets, { metadata: { name: "b" } });
    const { errors } = writePart(podDisruptionBudgets, "status", old, (o) => {
      const condition = {
        type: "DisruptionAllowed",
        status: "Yes",
        reason: "",
        message: "",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      };
      o.status = { expectedPods: -1, conditions: [condition] };
    });
    expect(errors).toEqual([
      'status.conditions[0].status: Unsupported value: "Yes": supported values: "False", "True", "Unknown"',
      "status.conditions[0].reason: Required value",
      "status.expectedPods: Invalid value: -1: must be greater than or equal to 0",
    ]);
  });
});

describe("a PriorityClass", () => {
  test("shows how important its Pods are", () => {
    const o = created(priorityClasses, { metadata: { name: "high" }, value: 1000, globalDefault: true });
    expect(complaints(priorityClasses, o)).toEqual([]);
    expect(headings(priorityClasses)).toBe("Name Value Global-Default Age PreemptionPolicy");
    expect(row(priorityClasses, o)).toEqual(["high", 1000, true, "60m", "PreemptLowerPriority"]);
    expect(o.metadata.generation).toBe(1);
  });

  test.each(Object.entries(SYSTEM_PRIORITY_CLASSES))("may be %s", (name, known) => {
    expect(complaints(priorityClasses, created(priorityClasses, { metadata: { name }, ...known }))).toEqual([]);
  });

  test("never changes for Pods that have copied it", () => {
    const old = created(priorityClasses, { metadata: { name: "high" }, value: 1000 });
    const next = updated(priorityClasses, { metadata: { name: "high" }, value: 1, preemptionPolicy: "Never" }, old);
    expect(complaints(priorityClasses, next, old)).toEqual([
      "value: Forbidden: may not be changed in an update.",
      'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]);
  });
});
