/** Jobs on a whole simulated cluster. */
import { describe, expect, test } from "@jest/globals";
import type { Container, Job, JobSpec, Pod } from "../../pkg/api/generated/types.ts";
import { jobs } from "../../pkg/api/kinds/batch/job.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { condition } from "../../pkg/api/pod.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import type { Call } from "../../pkg/client/transport.ts";
import { seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { SimulatedCluster } from "../harness/simulated.ts";
import { testSeeds } from "../harness/seeds.ts";

type Shape = Partial<JobSpec> & { command?: string[]; restartPolicy?: string };

function job(name: string, { command = ["true"], restartPolicy = "Never", ...spec }: Shape = {}): Job {
  const container: Container = { name: "work", image: "app", imagePullPolicy: "IfNotPresent", command };
  return { metadata: { name }, spec: { template: { spec: { restartPolicy, containers: [container] } }, ...spec } };
}

const says = (o: DeepReadonly<Job>, type: string) => condition(o.status?.conditions, type)?.status === "True";
const ended = (o: DeepReadonly<Job>) => says(o, "Complete") || says(o, "Failed");

async function run(c: SimulatedCluster, made: Job, limitMs = 600_000): Promise<DeepReadonly<Job>> {
  const api = c.client.resource(jobs, "default");
  await api.create(made);
  const name = made.metadata.name ?? "";
  await c.until(async () => ended(await api.get(name)), limitMs, 500);
  return api.get(name);
}

describe("a Job", () => {
  test("runs three completions, two at a time, and says so", async () => {
    await using c = await SimulatedCluster.start({ nodes: 2 });
    const o = await run(c, job("three", { completions: 3, parallelism: 2, command: ["sleep", "5"] }));
    expect(o.status).toMatchObject({ succeeded: 3, ready: 0, terminating: 0, uncountedTerminatedPods: {} });
    expect(o.status?.conditions?.map((x) => [x.type, x.status, x.reason])).toEqual([
      ["SuccessCriteriaMet", "True", "CompletionsReached"],
      ["Complete", "True", "CompletionsReached"],
    ]);
    expect(o.status?.completionTime).toBe(condition(o.status?.conditions, "Complete")?.lastTransitionTime);
    expect((await c.pods()).map((p) => [p.status?.phase, p.metadata.finalizers?.length || undefined])).toEqual(
      Array.from({ length: 3 }, () => ["Succeeded", undefined]),
    );
    const told = await c.events("three");
    expect(told.filter((e) => e.startsWith("SuccessfulCreate: Created pod: three-"))).toHaveLength(3);
    expect(told).toContain("Completed: Job completed");
  });

  test("gives every index its number: label, annotation, variable, host name", async () => {
    await using c = await SimulatedCluster.start();
    const o = await run(c, job("indexed", { completions: 4, parallelism: 4, completionMode: "Indexed" }));
    expect(o.status).toMatchObject({ succeeded: 4, completedIndexes: "0-3" });
    const made = (await c.pods()).toSorted((a, b) => ((a.spec?.hostname ?? "") < (b.spec?.hostname ?? "") ? -1 : 1));
    expect(made.map((p) => p.spec?.hostname)).toEqual(["indexed-0", "indexed-1", "indexed-2", "indexed-3"]);
    const { metadata, spec } = made[2] ?? { metadata: {} };
    expect(metadata.name).toMatch(/^indexed-2-.{5}$/);
    const key = "batch.kubernetes.io/job-completion-index";
    expect([metadata.labels?.[key], metadata.annotations?.[key]]).toEqual(["2", "2"]);
    expect(spec?.containers[0]?.env).toEqual([
      {
        name: "JOB_COMPLETION_INDEX",
        valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: `metadata.labels['${key}']` } },
      },
    ]);
  });

  test("gives up after backoffLimit, waiting twice as long each time", async () => {
    await using c = await SimulatedCluster.start();
    const o = await run(c, job("failing", { backoffLimit: 2, command: ["false"] }));
    expect(o.status).toMatchObject({ failed: 3 });
    const at = (await c.pods()).map((p) => Date.parse(p.metadata.creationTimestamp ?? "")).toSorted((a, b) => a - b);
    const gaps = at.slice(1).map((t, i) => Math.round((t - (at[i] ?? 0)) / 10_000) * 10);
    expect(gaps).toEqual([10, 20]);
    expect(condition(o.status?.conditions, "Failed")).toMatchObject({
      reason: "BackoffLimitExceeded",
      message: "Job has reached the specified backoff limit",
    });
    expect(await c.events("failing")).toContain("BackoffLimitExceeded: Job has reached the specified backoff limit");
  });

  test("has limits of its own for every index", async () => {
    await using c = await SimulatedCluster.start();
    const spec: Shape = { completions: 3, parallelism: 3, completionMode: "Indexed", backoffLimitPerIndex: 1 };
    const api = c.client.resource(jobs, "default");
    await api.create(job("per-index", { ...spec, command: ["run"] }));
    const running = async () => (await c.pods()).filter((p) => p.status?.phase === "Running");
    await c.until(async () => (await running()).length === 3);
    const end = async (index: number, code: number) => {
      const hostname = `per-index-${index}`;
      await c.until(async () => (await running()).some((p) => p.spec?.hostname === hostname));
      const pod = (await running()).find((p) => p.spec?.hostname === hostname);
      c.node().runtime.kill(pod?.metadata.uid ?? "", "work", code);
      await c.until(async () => !(await running()).some((p) => p.metadata.uid === pod?.metadata.uid));
    };
    await end(0, 0);
    await end(1, 1);
    await end(2, 0);
    await end(1, 1);
    await c.until(async () => ended(await api.get("per-index")), 120_000);
    const o = await api.get("per-index");
    expect(o.status).toMatchObject({ succeeded: 2, failed: 2, completedIndexes: "0,2", failedIndexes: "1" });
    expect(condition(o.status?.conditions, "Failed")).toMatchObject({ reason: "FailedIndexes" });
  });

  test("suspended it loses its Pods without blame; resumed its time begins anew", async () => {
    await using c = await SimulatedCluster.start();
    const api = c.client.resource(jobs, "default");
    await api.create(job("pausing", { completions: 2, parallelism: 2, backoffLimit: 0, command: ["sleep", "20"] }));
    await c.until(async () => (await api.get("pausing")).status?.ready === 2);
    const first = (await api.get("pausing")).status?.startTime ?? "";
    const suspend = (on: boolean) => api.patch("pausing", "application/merge-patch+json", { spec: { suspend: on } });
    await suspend(true);
    await c.until(async () => (await c.pods()).length === 0, 120_000);
    const paused = await api.get("pausing");
    expect(says(paused, "Suspended")).toBe(true);
    expect(paused.status).toMatchObject({ ready: 0, terminating: 0 });
    expect(paused.status?.failed).toBeUndefined();
    await c.clock.advance(5_000);
    await suspend(false);
    await c.until(async () => ended(await api.get("pausing")), 120_000);
    const done = await api.get("pausing");
    expect(done.status).toMatchObject({ succeeded: 2 });
    expect(Date.parse(done.status?.startTime ?? "")).toBeGreaterThan(Date.parse(first));
    expect(await c.events("pausing")).toEqual(
      expect.arrayContaining(["Suspended: Job suspended", "Resumed: Job resumed"]),
    );
  });

  test("is over when its time is over", async () => {
    await using c = await SimulatedCluster.start();
    const o = await run(c, job("slow", { activeDeadlineSeconds: 30, command: ["run"] }));
    expect(condition(o.status?.conditions, "Failed")).toMatchObject({
      reason: "DeadlineExceeded",
      message: "Job was active longer than specified deadline",
    });
    expect(o.status).toMatchObject({ failed: 1, terminating: 0 });
  });

  test("that is deleted leaves nothing behind, whether its Pods go or stay", async () => {
    await using c = await SimulatedCluster.start();
    const api = c.client.resource(jobs, "default");
    for (const name of ["goes", "stays"]) await api.create(job(name, { command: ["run"] }));
    await c.until(async () => (await c.pods()).filter((p) => p.status?.phase === "Running").length === 2);
    await api.delete("goes", { propagationPolicy: "Background" });
    await c.until(async () => (await c.pods()).length === 1, 120_000);
    await api.delete("stays", { propagationPolicy: "Orphan" });
    await c.until(async () => (await c.pods()).every((p) => !p.metadata.finalizers?.length));
    expect((await c.pods()).map((p) => p.metadata.ownerReferences)).toEqual([undefined]);
  });

  test("that somebody else manages is left alone", async () => {
    await using c = await SimulatedCluster.start();
    const api = c.client.resource(jobs, "default");
    await api.create(job("foreign", { managedBy: "example.com/other" }));
    await c.clock.advance(60_000);
    expect(await c.pods()).toEqual([]);
    expect((await api.get("foreign")).status).toEqual({});
  });
});

/** Every third write or so fails before, or after it is done. */
function faults(c: SimulatedCluster, seed: number): void {
  const random = seededRandom(seed);
  const WRITES: readonly string[] = ["create", "update", "patch", "delete"];
  const away = () => {
    throw new ApiError("ServiceUnavailable", "away");
  };
  c.wire.fault = (call: Call) => {
    const mine = call.resource === "jobs" || call.resource === "pods";
    if (!mine || !WRITES.includes(call.verb) || random() > 0.3) return;
    const kind = random();
    if (kind < 0.3) throw conflict({ group: call.group, resource: call.resource }, call.name ?? "");
    if (kind < 0.6) away();
    return away;
  };
}

testSeeds("whatever writes fail, every Pod that ended is counted once", 6, async (seed) => {
  await using c = await SimulatedCluster.start({ nodes: 2, seed });
  const api = c.client.resource(jobs, "default");
  const uids = { Succeeded: new Set<string>(), Failed: new Set<string>() };
  const stop = new AbortController();
  const watching = (async () => {
    for await (const { object } of c.client.resource<Pod>(pods, "default").watch({}, stop.signal)) {
      const { phase } = object.status ?? {};
      if (phase === "Succeeded" || phase === "Failed") uids[phase].add(`${object.metadata.uid}`);
    }
  })();
  faults(c, seed);
  const indexed = { completionMode: "Indexed", completions: 6, parallelism: 3, backoffLimit: 20 };
  await api.create(job("plain", { completions: 8, parallelism: 4, backoffLimit: 20, command: ["sleep", "3"] }));
  await api.create(job("flaky", { ...indexed, command: ["sleep", "2"] }));
  // Some of their Pods are made to fail.
  const random = seededRandom(seed + 100);
  for (let n = 0; n < 12; n++) {
    await c.clock.advance(1_500);
    const [victim] = (await c.pods()).filter((p) => p.status?.phase === "Running");
    const node = c.nodes.get(victim?.spec?.nodeName ?? "");
    if (!victim || random() < 0.5) continue;
    try {
      node?.runtime.kill(victim.metadata.uid ?? "", "work", 1);
    } catch {
      // It had ended by itself.
    }
  }
  await c.until(async () => (await api.list()).items.every(ended), 1_800_000, 1_000);
  stop.abort();
  await watching;
  const all = (await api.list()).items;
  const sum = (of: "succeeded" | "failed") => all.reduce((n, o) => n + (o.status?.[of] ?? 0), 0);
  expect(all.map((o) => says(o, "Complete"))).toEqual([true, true]);
  expect(sum("succeeded")).toBe(14);
  expect(uids.Succeeded.size).toBe(14);
  expect(sum("failed")).toBe(uids.Failed.size);
  expect((await c.pods()).filter((p) => p.metadata.finalizers?.length)).toEqual([]);
});
