/** Weeks of CronJobs in seconds: an API server in memory and this controller, and Jobs that end at once. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { CronJob, CronJobSpec, Job } from "../../api/generated/types.ts";
import { cronJobs } from "../../api/kinds/batch/cronjob.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { Informers } from "../../informer/informers.ts";
import { ServedKinds } from "../../informer/served-kinds.ts";
import { together } from "../../reconcile/scope.ts";
import { MemoryStore } from "../../store/memory.ts";
import { rfc3339, seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { runCronJobs } from "./controller.ts";

const DAY = 24 * 3_600_000;

async function start(at: number) {
  const clock = new FakeClock(at);
  const random = seededRandom(1);
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock, random, log: silent });
  const client = new Client(server.transport(), "test");
  const stop = new AbortController();
  const seen: string[] = [];
  const informers = new Informers({ client, clock, log: silent, random });
  const parts = { client, clock, log: silent, random, informers, kinds: new ServedKinds(informers) };
  const api = client.resource(jobs, "default");
  const done = together(
    stop.signal,
    (s) => informers.run(s),
    (s) => runCronJobs(parts, s),
    async (s) => {
      for await (const { type, object } of client.resource<Job>(jobs).watch({}, s)) {
        if (type !== "ADDED") continue;
        const { annotations = {} } = object.metadata;
        seen.push(annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] ?? "");
        const now = rfc3339(clock.now());
        const conditions = ["SuccessCriteriaMet", "Complete"].map((t) => ({ type: t, status: "True" }));
        await api.updateStatus({ ...object, status: { startTime: now, completionTime: now, conditions } });
      }
    },
  );
  await clock.advance(0);
  return {
    clock,
    seen,
    jobs: api,
    cronJobs: client.resource(cronJobs, "default"),
    async end() {
      stop.abort();
      await done;
      await server.close();
      await store.close();
      expect(clock.pending).toBe(0);
    },
  };
}

function cronJob(schedule: string, spec: Partial<CronJobSpec> = {}): CronJob {
  const template = { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "i" }] } };
  return { metadata: { name: "cj" }, spec: { schedule, jobTemplate: { spec: { template } }, ...spec } };
}

describe("a CronJob", () => {
  let c: Awaited<ReturnType<typeof start>>;
  // The clocks of Berlin go back in the night to the 25th.
  beforeEach(async () => {
    c = await start(Date.UTC(2026, 9, 17));
  });
  afterEach(() => c.end());

  test("misses nothing and repeats nothing in two weeks", async () => {
    await c.cronJobs.create(cronJob("30 */6 * * *", { timeZone: "Europe/Berlin" }));
    await c.clock.advance(14 * DAY);
    const days = c.seen.filter((t) => /^2026-10-2[456]/.test(t));
    expect(days).toEqual([
      "2026-10-24T00:30:00+02:00",
      "2026-10-24T06:30:00+02:00",
      "2026-10-24T12:30:00+02:00",
      "2026-10-24T18:30:00+02:00",
      "2026-10-25T00:30:00+02:00",
      "2026-10-25T06:30:00+01:00",
      "2026-10-25T12:30:00+01:00",
      "2026-10-25T18:30:00+01:00",
      "2026-10-26T00:30:00+01:00",
      "2026-10-26T06:30:00+01:00",
      "2026-10-26T12:30:00+01:00",
      "2026-10-26T18:30:00+01:00",
    ]);
    expect(c.seen).toHaveLength(14 * 4);
    expect(new Set(c.seen).size).toBe(14 * 4);
    expect((await c.jobs.list()).items).toHaveLength(3);
  });

  test("that has come too late by more than its deadline lets the time pass", async () => {
    await c.cronJobs.create(cronJob("0 * * * *", { startingDeadlineSeconds: 600, suspend: true }));
    await c.clock.advance(2 * 3_600_000 + 30 * 60_000);
    await c.cronJobs.patch("cj", "application/merge-patch+json", { spec: { suspend: false } });
    await c.clock.advance(60_000);
    expect(c.seen).toEqual([]);
    await c.clock.advance(30 * 60_000);
    expect(c.seen).toEqual(["2026-10-17T03:00:00Z"]);
  });

  test("whose schedule changes is due by the new one", async () => {
    await c.cronJobs.create(cronJob("0 0 1 1 *"));
    await c.clock.advance(60_000);
    await c.cronJobs.patch("cj", "application/merge-patch+json", { spec: { schedule: "*/5 * * * *" } });
    await c.clock.advance(5 * 60_000);
    expect(c.seen).toEqual(["2026-10-17T00:05:00Z"]);
  });

  test("sees that the clock was set forward, and starts once", async () => {
    await c.cronJobs.create(cronJob("0 * * * *"));
    await c.clock.advance(60_000);
    const now = c.clock.now.bind(c.clock);
    c.clock.now = () => now() + DAY;
    await c.clock.advance(15 * 60_000);
    expect(c.seen).toEqual(["2026-10-18T00:00:00Z"]);
    c.clock.now = now;
    // Set back again: what was due later than now is not due again.
    await c.clock.advance(12 * 3_600_000);
    expect(c.seen).toEqual(["2026-10-18T00:00:00Z"]);
    await c.clock.advance(DAY);
    expect(c.seen.slice(0, 2)).toEqual(["2026-10-18T00:00:00Z", "2026-10-18T01:00:00Z"]);
  });
});
