/** CronJobs on a whole simulated cluster. */
import { describe, expect, test } from "@jest/globals";
import type { CronJob, CronJobSpec, Job } from "../../pkg/api/generated/types.ts";
import { cronJobs } from "../../pkg/api/kinds/batch/cronjob.ts";
import { jobs } from "../../pkg/api/kinds/batch/job.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";

function cronJob(name: string, schedule: string, spec: Partial<CronJobSpec> = {}, command = ["sleep", "2"]): CronJob {
  const container = { name: "work", image: "app", imagePullPolicy: "IfNotPresent", command };
  const template = { spec: { restartPolicy: "Never", containers: [container] } };
  return { metadata: { name }, spec: { schedule, jobTemplate: { spec: { template } }, ...spec } };
}

/** Remembers all Jobs there ever were. */
async function recorded(c: SimulatedCluster): Promise<{ seen: Map<string, Job>; end: () => Promise<void> }> {
  const seen = new Map<string, Job>();
  const stop = new AbortController();
  const done = (async () => {
    for await (const { object } of c.client.resource<Job>(jobs, "default").watch({}, stop.signal)) {
      seen.set(object.metadata.name ?? "", object as Job);
    }
  })();
  await c.clock.advance(0);
  const end = async () => {
    stop.abort();
    await done;
  };
  return { seen, end };
}

describe("a CronJob", () => {
  test("fires when it is due for some hours, once each time, and keeps as many Jobs as it should", async () => {
    await using c = await SimulatedCluster.start();
    const { seen, end } = await recorded(c);
    const api = c.client.resource(cronJobs, "default");
    await api.create(cronJob("hourly", "0 * * * *", { successfulJobsHistoryLimit: 2 }));
    await c.clock.advance(4 * HOUR + MINUTE);
    await end();
    const due = [...seen.values()].map((j) => j.metadata.annotations?.[SCHEDULED_AT]);
    const start = Date.UTC(2026, 0, 1);
    const expected = Array.from({ length: 4 }, (_, n) =>
      new Date(start + (n + 1) * HOUR).toISOString().replace(".000", ""),
    );
    expect(due).toEqual(expected);
    expect([...seen.keys()][0]).toBe(`hourly-${(start + HOUR) / MINUTE}`);
    const kept = (await c.client.resource(jobs, "default").list()).items;
    expect(kept.map((j) => j.metadata.annotations?.[SCHEDULED_AT])).toEqual(expected.slice(-2));
    const { status } = await api.get("hourly");
    expect(status?.lastScheduleTime).toBe(expected.at(-1));
    expect(Date.parse(status?.lastSuccessfulTime ?? "")).toBeGreaterThan(Date.parse(expected.at(-1) ?? ""));
    expect(status?.active).toBeUndefined();
  });

  test.each([
    ["Allow", 3],
    ["Forbid", 1],
    ["Replace", 1],
  ])("with %s has at most %i of three slow Jobs at a time", async (concurrencyPolicy, most) => {
    await using c = await SimulatedCluster.start();
    const api = c.client.resource(cronJobs, "default");
    await api.create(cronJob("slow", "* * * * *", { concurrencyPolicy }, ["run"]));
    await c.clock.advance(3 * MINUTE + 5_000);
    const left = (await c.client.resource(jobs, "default").list()).items.filter((j) => !j.metadata.deletionTimestamp);
    expect(left).toHaveLength(most);
    const { status } = await api.get("slow");
    expect(status?.active?.map((r) => r.name)).toEqual(left.map((j) => j.metadata.name));
    const first = Date.UTC(2026, 0, 1) / MINUTE + 1;
    expect(left[0]?.metadata.name).toBe(`slow-${concurrencyPolicy === "Replace" ? first + 2 : first}`);
    const told = await c.events("slow");
    const skipped =
      "JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid";
    expect(told.includes(skipped)).toBe(concurrencyPolicy === "Forbid");
    expect(told.includes(`SuccessfulDelete: Deleted job slow-${first}`)).toBe(concurrencyPolicy === "Replace");
  });

  test("suspended it starts nothing; resumed it makes good the last time it missed, and says that there were many", async () => {
    await using c = await SimulatedCluster.start();
    const { seen, end } = await recorded(c);
    const api = c.client.resource(cronJobs, "default");
    await api.create(cronJob("paused", "* * * * *", { suspend: true }));
    await c.clock.advance(2 * HOUR + 30_000);
    expect(seen.size).toBe(0);
    await api.patch("paused", "application/merge-patch+json", { spec: { suspend: false } });
    await c.clock.advance(1_000);
    await end();
    expect([...seen.keys()]).toEqual([`paused-${(Date.UTC(2026, 0, 1) + 2 * HOUR) / MINUTE}`]);
    expect(await c.events("paused")).toContain(
      "TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
    );
  });

  test("a Job that has ended goes when its time is over", async () => {
    await using c = await SimulatedCluster.start();
    const api = c.client.resource(jobs, "default");
    const { spec } = cronJob("short", "* * * * *").spec.jobTemplate;
    if (!spec) throw new Error("no spec");
    await api.create({ metadata: { name: "short" }, spec: { ...spec, ttlSecondsAfterFinished: 100 } });
    await c.clock.advance(90_000);
    expect((await api.get("short")).status?.succeeded).toBe(1);
    await c.clock.advance(20_000);
    expect((await api.list()).items).toEqual([]);
    expect(await c.pods()).toEqual([]);
  });
});
