import { expect, test } from "@jest/globals";
import type { Container, Pod, PodSpec } from "./generated/types.ts";
import { effectiveRequests, isReady, isTerminal, podRequests, qosClass } from "./pod.ts";

const c = (requests?: Record<string, string>, limits?: Record<string, string>, restartPolicy?: string): Container => ({
  name: "c",
  ...(restartPolicy && { restartPolicy }),
  resources: { ...(requests && { requests }), ...(limits && { limits }) },
});
const pod = (spec: PodSpec): Pod => ({ metadata: { name: "p" }, spec });

test.each<[string, PodSpec, string]>([
  ["nothing asked", { containers: [c(), c()] }, "BestEffort"],
  ["zero is nothing", { containers: [c({ cpu: "0" })] }, "BestEffort"],
  ["only other resources", { containers: [c({ "a.b/gpu": "1" })] }, "BestEffort"],
  [
    "limits equal requests",
    { containers: [c({ cpu: "1", memory: "1Gi" }, { cpu: "1000m", memory: "1024Mi" })] },
    "Guaranteed",
  ],
  ["limits alone", { containers: [c(undefined, { cpu: "1", memory: "1Gi" })] }, "Guaranteed"],
  ["cpu alone", { containers: [c({ cpu: "1" }, { cpu: "1" })] }, "Burstable"],
  ["one without limits", { containers: [c({ cpu: "1", memory: "1" }, { cpu: "1", memory: "1" }), c()] }, "Burstable"],
  ["init counts", { containers: [c()], initContainers: [c({ cpu: "1" })] }, "Burstable"],
])("quality of service: %s", (_, spec, expected) => {
  expect(qosClass(pod(spec))).toBe(expected);
});

test.each<[string, PodSpec, Record<string, bigint>]>([
  [
    "a sum",
    { containers: [c({ cpu: "100m", memory: "1Ki" }), c({ cpu: "1", "a.b/gpu": "2" })] },
    { cpu: 1100n, memory: 1024n, "a.b/gpu": 2n },
  ],
  [
    "the largest init",
    { containers: [c({ cpu: "1" })], initContainers: [c({ cpu: "2" }), c({ memory: "5" })] },
    { cpu: 2000n, memory: 5n },
  ],
  [
    "a sidecar beside the containers",
    { containers: [c({ cpu: "1" })], initContainers: [c({ cpu: "1" }, undefined, "Always")] },
    { cpu: 2000n },
  ],
  [
    "an init beside an earlier sidecar",
    { containers: [c()], initContainers: [c({ cpu: "1" }, undefined, "Always"), c({ cpu: "3" })] },
    { cpu: 4000n },
  ],
  [
    "a sidecar after the init",
    { containers: [c()], initContainers: [c({ cpu: "3" }), c({ cpu: "1" }, undefined, "Always")] },
    { cpu: 3000n },
  ],
  [
    "overhead on top",
    { containers: [c({ cpu: "1" })], overhead: { cpu: "100m", memory: "1M" } },
    { cpu: 1100n, memory: 1_000_000n },
  ],
  [
    "the Pod's own word",
    { containers: [c({ cpu: "1", memory: "2" })], resources: { requests: { cpu: "3" } } },
    { cpu: 3000n, memory: 2n },
  ],
])("requests: %s", (_, spec, expected) => {
  expect(podRequests(pod(spec))).toEqual(expected);
});

test.each<[string, string, NonNullable<Pod["status"]>, bigint]>([
  ["nothing is granted yet", "1", {}, 1000n],
  ["it is to grow", "3", granted("1", "1"), 3000n],
  ["it is to shrink, and has not yet", "1", granted("2", "3"), 3000n],
  [
    "it can never grow",
    "9",
    { ...granted("1", "2"), conditions: [{ type: "PodResizePending", status: "True", reason: "Infeasible" }] },
    2000n,
  ],
])("a Pod that is resized counts for the most of it: %s", (_, cpu, status, expected) => {
  const resized = { ...pod({ containers: [{ ...c({ cpu }), name: "c" }] }), status };
  expect(effectiveRequests(resized)).toEqual({ cpu: expected });
});

function granted(allocated: string, actual: string): NonNullable<Pod["status"]> {
  const shown = { allocatedResources: { cpu: allocated }, resources: { requests: { cpu: actual } } };
  return { containerStatuses: [{ name: "c", image: "i", imageID: "", ready: true, restartCount: 0, ...shown }] };
}

test("phase and readiness", () => {
  const with_ = (status: Pod["status"]): Pod => ({ metadata: {}, ...(status && { status }) });
  expect(["Pending", "Running", "Succeeded", "Failed"].map((phase) => isTerminal(with_({ phase })))).toEqual([
    false,
    false,
    true,
    true,
  ]);
  expect(isReady(with_({ conditions: [{ type: "Ready", status: "True" }] }))).toBe(true);
  expect(isReady(with_({ conditions: [{ type: "Ready", status: "Unknown" }] }))).toBe(false);
  expect(isReady(with_({}))).toBe(false);
});
