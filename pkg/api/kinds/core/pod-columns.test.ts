import { describe, expect, test } from "@jest/globals";
import type { ContainerState, ContainerStatus, Pod, PodSpec, PodStatus } from "../../generated/types.ts";
import { podColumns } from "./pod-columns.ts";

const now = Date.parse("2026-01-01T01:00:00Z");

function row(pod: Pod, wide = false): (string | number | boolean)[] {
  return podColumns.filter((c) => wide || !c.wide).map((c) => c.cell(pod, now));
}

function pod(status: PodStatus, spec: Partial<PodSpec> = {}, deleted = false): Pod {
  return {
    metadata: {
      name: "web",
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...(deleted && { deletionTimestamp: "2026-01-01T00:59:00Z" }),
    },
    spec: { containers: [{ name: "a" }], ...spec },
    status,
  };
}

function container(state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus {
  return { name: "a", image: "", imageID: "", ready: false, restartCount: 0, state, ...more };
}

const running = container({ running: {} }, { ready: true });
const ended = (exitCode: number, reason = "", signal = 0) => container({ terminated: { exitCode, reason, signal } });
const waiting = (reason: string, more: Partial<ContainerStatus> = {}) => container({ waiting: { reason } }, more);
const lastEnd = { lastState: { terminated: { exitCode: 1, finishedAt: "2026-01-01T00:55:00Z" } } };
const twoInits: Partial<PodSpec> = { initContainers: [{ name: "i" }, { name: "j" }] };
const sidecar: Partial<PodSpec> = { initContainers: [{ name: "s", restartPolicy: "Always" }] };
const ready = [{ type: "Ready", status: "True" }];

describe("READY, STATUS and RESTARTS as kubectl shows them", () => {
  test.each<[string, Pod, string, string, string]>([
    ["new", pod({ phase: "Pending" }), "0/1", "Pending", "0"],
    [
      "gated",
      pod({ phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }] }),
      "0/1",
      "SchedulingGated",
      "0",
    ],
    [
      "starting",
      pod({ phase: "Pending", containerStatuses: [waiting("ContainerCreating")] }),
      "0/1",
      "ContainerCreating",
      "0",
    ],
    ["running", pod({ phase: "Running", containerStatuses: [running] }), "1/1", "Running", "0"],
    ["not ready", pod({ phase: "Running", containerStatuses: [container({ running: {} })] }), "0/1", "Running", "0"],
    [
      "crashing",
      pod({ phase: "Running", containerStatuses: [waiting("CrashLoopBackOff", { restartCount: 2, ...lastEnd })] }),
      "0/1",
      "CrashLoopBackOff",
      "2 (5m ago)",
    ],
    [
      "restarted, nobody knows when",
      pod({ phase: "Running", containerStatuses: [{ ...running, restartCount: 1 }] }),
      "1/1",
      "Running",
      "1",
    ],
    ["completed", pod({ phase: "Succeeded", containerStatuses: [ended(0, "Completed")] }), "0/1", "Completed", "0"],
    ["failed", pod({ phase: "Failed", containerStatuses: [ended(1, "Error")] }), "0/1", "Error", "0"],
    ["exit code", pod({ phase: "Failed", containerStatuses: [ended(3)] }), "0/1", "ExitCode:3", "0"],
    ["signal", pod({ phase: "Failed", containerStatuses: [ended(137, "", 9)] }), "0/1", "Signal:9", "0"],
    ["evicted", pod({ phase: "Failed", reason: "Evicted" }), "0/1", "Evicted", "0"],
    [
      "one done, one ready",
      pod(
        { phase: "Running", conditions: ready, containerStatuses: [ended(0, "Completed"), running] },
        { containers: [{ name: "a" }, { name: "b" }] },
      ),
      "1/2",
      "Running",
      "0",
    ],
    [
      "one done, not ready",
      pod(
        { phase: "Running", containerStatuses: [ended(0, "Completed"), running] },
        { containers: [{ name: "a" }, { name: "b" }] },
      ),
      "1/2",
      "NotReady",
      "0",
    ],
    [
      "the first speaks",
      pod({ phase: "Running", containerStatuses: [waiting("ErrImagePull"), waiting("CrashLoopBackOff")] }),
      "0/1",
      "ErrImagePull",
      "0",
    ],
    [
      "init 0/2",
      pod(
        { phase: "Pending", initContainerStatuses: [container({ running: {} }), waiting("PodInitializing")] },
        twoInits,
      ),
      "0/1",
      "Init:0/2",
      "0",
    ],
    [
      "init 1/2",
      pod({ phase: "Pending", initContainerStatuses: [ended(0), waiting("PodInitializing")] }, twoInits),
      "0/1",
      "Init:1/2",
      "0",
    ],
    [
      "init waits",
      pod({ phase: "Pending", initContainerStatuses: [waiting("ErrImagePull")] }, twoInits),
      "0/1",
      "Init:ErrImagePull",
      "0",
    ],
    [
      "init failed",
      pod({ phase: "Pending", initContainerStatuses: [ended(1, "Error")] }, twoInits),
      "0/1",
      "Init:Error",
      "0",
    ],
    [
      "init exit code",
      pod({ phase: "Pending", initContainerStatuses: [ended(2)] }, twoInits),
      "0/1",
      "Init:ExitCode:2",
      "0",
    ],
    [
      "init signal",
      pod({ phase: "Pending", initContainerStatuses: [ended(137, "", 9)] }, twoInits),
      "0/1",
      "Init:Signal:9",
      "0",
    ],
    [
      "init restarts count",
      pod(
        { phase: "Pending", initContainerStatuses: [waiting("CrashLoopBackOff", { restartCount: 3, ...lastEnd })] },
        twoInits,
      ),
      "0/1",
      "Init:CrashLoopBackOff",
      "3 (5m ago)",
    ],
    [
      "inits done",
      pod(
        {
          phase: "Pending",
          initContainerStatuses: [ended(0), ended(0)],
          containerStatuses: [waiting("PodInitializing")],
        },
        twoInits,
      ),
      "0/1",
      "PodInitializing",
      "0",
    ],
    [
      "sidecar",
      pod(
        {
          phase: "Running",
          initContainerStatuses: [{ ...running, name: "s", started: true, restartCount: 1 }],
          containerStatuses: [{ ...running, restartCount: 1 }],
        },
        sidecar,
      ),
      "2/2",
      "Running",
      "2",
    ],
    [
      "sidecar starting",
      pod(
        { phase: "Pending", initContainerStatuses: [container({ running: {} }, { name: "s", started: false })] },
        sidecar,
      ),
      "0/2",
      "Init:0/1",
      "0",
    ],
    ["terminating", pod({ phase: "Running", containerStatuses: [running] }, {}, true), "1/1", "Terminating", "0"],
    [
      "ended and deleted",
      pod({ phase: "Succeeded", containerStatuses: [ended(0, "Completed")] }, {}, true),
      "0/1",
      "Completed",
      "0",
    ],
    [
      "node lost",
      pod({ phase: "Running", reason: "NodeLost", containerStatuses: [running] }, {}, true),
      "1/1",
      "Unknown",
      "0",
    ],
  ])("%s", (_, p, readyCell, status, restarts) => {
    expect(row(p)).toEqual(["web", readyCell, status, restarts, "60m"]);
  });
});

test("wide columns", () => {
  expect(row(pod({ phase: "Pending" }), true).slice(5)).toEqual(["<none>", "<none>", "<none>", "<none>"]);
  const placed = pod(
    {
      phase: "Running",
      podIP: "10.1.0.2",
      podIPs: [{ ip: "10.1.0.2" }],
      nominatedNodeName: "n2",
      conditions: [{ type: "gate", status: "True" }],
    },
    { nodeName: "n1", readinessGates: [{ conditionType: "gate" }, { conditionType: "other" }] },
  );
  expect(row(placed, true).slice(5)).toEqual(["10.1.0.2", "n1", "n2", "1/2"]);
  expect(podColumns.map((c) => c.name.toUpperCase()).slice(5)).toEqual([
    "IP",
    "NODE",
    "NOMINATED NODE",
    "READINESS GATES",
  ]);
});
