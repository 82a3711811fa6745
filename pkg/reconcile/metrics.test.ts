import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { seededRandom } from "../util/clock.ts";
import { FakeClock, settle } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { Metrics } from "../util/metrics.ts";
import { runController } from "./controller.ts";
import { leaderStatus, QueueMetrics } from "./metrics.ts";
import { WorkQueue } from "./workqueue.ts";

/** `name{labels}` without the name of the queue → number. */
async function samples(metrics: Metrics): Promise<Record<string, number>> {
  const lines = (await metrics.text()).split("\n").filter((l) => l !== "" && !l.startsWith("#"));
  return Object.fromEntries(
    lines.map((l) => [l.slice(0, l.lastIndexOf(" ")).replaceAll('name="q"', ""), Number(l.split(" ").at(-1))]),
  );
}

describe("a queue's metrics", () => {
  test("how long a key waits, how long it is worked on, and that it is tried again", async () => {
    const [clock, metrics, stop] = [new FakeClock(), new Metrics(), new AbortController()];
    const queue = new WorkQueue({ clock, random: seededRandom(1), backoff: { initialMs: 5_000, maxMs: 5_000 } });
    let fails = true;
    const reconcile = async () => {
      await clock.sleep(2_000, stop.signal);
      if (fails) throw new Error("not yet");
      return "done" as const;
    };
    const o = { name: "q", queue, reconcile, clock, log: silent, random: seededRandom(1), metrics };
    const running = runController(o, stop.signal);
    queue.add("a");
    queue.add("b");
    await clock.advance(4_000);
    fails = false;
    await clock.advance(60_000);
    stop.abort();
    await running;
    expect(await samples(metrics)).toMatchObject({
      "workqueue_depth{}": 0,
      "workqueue_adds_total{}": 4,
      "workqueue_retries_total{}": 2,
      "workqueue_work_duration_seconds_count{}": 4,
      "workqueue_work_duration_seconds_sum{}": 8,
    });
  });

  test("whatever happens, what was added was taken or waits", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("add a", "add b", "take", "done"), { maxLength: 40 }),
        async (steps) => {
          const [clock, metrics] = [new FakeClock(), new Metrics()];
          const queue = new WorkQueue({ clock, random: seededRandom(1) });
          queue.observe(new QueueMetrics({ name: "q", clock, metrics }));
          const held: string[] = [];
          let takers = 0;
          for (const step of steps) {
            if (step === "take") {
              takers++;
              void queue.take().then((key) => key !== undefined && held.push(key));
            } else if (step === "done") {
              const key = held.pop();
              if (key !== undefined) queue.done(key);
            } else queue.add(step.slice(4));
            await settle(1);
          }
          const now = await samples(metrics);
          const [added, waited, depth] = [
            now["workqueue_adds_total{}"] ?? 0,
            now["workqueue_queue_duration_seconds_count{}"] ?? 0,
            now["workqueue_depth{}"] ?? 0,
          ];
          expect(waited).toBeLessThanOrEqual(takers);
          expect(waited + depth).toBe(added);
          queue.close();
        },
      ),
      { numRuns: 50 },
    ));
});

test("who leads is told", async () => {
  const metrics = new Metrics();
  const leads = leaderStatus(metrics, "kube-scheduler");
  const now = async () => (await samples(metrics))['leader_election_master_status{name="kube-scheduler"}'];
  expect(await now()).toBe(0);
  leads(true);
  expect(await now()).toBe(1);
  leads(false);
  expect(await now()).toBe(0);
  expect(() => leaderStatus(undefined, "x")(true)).not.toThrow();
});
