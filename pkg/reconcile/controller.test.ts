import { describe, expect, it } from "@jest/globals";
import { ApiError } from "../api/status.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { runController, type Reconcile } from "./controller.ts";
import { together } from "./scope.ts";
import { WorkQueue } from "./workqueue.ts";

function start(reconcile: Reconcile, workers = 1) {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const queue = new WorkQueue({ clock, random, backoff: { initialMs: 100, maxMs: 1_000 } });
  const stop = new AbortController();
  const done = runController(
    { name: "test", queue, reconcile, workers, deadlineMs: 5_000, clock, log: silent, random },
    stop.signal,
  );
  const end = async () => {
    stop.abort();
    await done;
    expect(clock.pending).toBe(0);
  };
  return { clock, queue, end };
}

describe("runController", () => {
  it("R2: retries a failure with a growing delay, and looks again when asked to", async () => {
    const at: number[] = [];
    const { clock, queue, end } = start(() => {
      at.push(clock.now());
      if (at.length < 3) return Promise.reject(new Error("not yet"));
      return Promise.resolve(at.length === 3 ? { againAfterMs: 700 } : "done");
    });
    const t0 = clock.now();
    queue.add("a");
    await clock.advance(10_000);
    expect(at.map((t) => t - t0)).toEqual([0, 100, 300, 1_000]);
    await end();
  });

  it("R2: does not retry what the end of its namespace forbids", async () => {
    let runs = 0;
    const { clock, queue, end } = start(() => {
      runs++;
      const causes = [{ reason: "NamespaceTerminating", message: "namespace old is being terminated" }];
      return Promise.reject(new ApiError("Forbidden", "unable to create new content", { causes }));
    });
    queue.add("old/web");
    await clock.advance(60_000);
    expect(runs).toBe(1);
    queue.add("old/web");
    await clock.advance(1_000);
    expect(runs).toBe(2);
    await end();
  });

  it("R1: several workers share the keys, never one key", async () => {
    const running: string[] = [];
    let most = 0;
    const { clock, queue, end } = start(async (key, signal) => {
      expect(running).not.toContain(key);
      running.push(key);
      most = Math.max(most, running.length);
      await clock.sleep(100, signal);
      running.splice(running.indexOf(key), 1);
      return "done";
    }, 2);
    for (const key of ["a", "b", "c", "a"]) queue.add(key);
    await clock.advance(50);
    queue.add("a");
    await clock.advance(1_000);
    expect(most).toBe(2);
    expect(queue.busy).toBe(0);
    await end();
  });

  it("R3: a deadline aborts the reconcile's signal, and counts as a failure", async () => {
    const reasons: string[] = [];
    const { clock, queue, end } = start(async (_, signal) => {
      if (reasons.length === 0) await clock.sleep(60_000, signal).catch((e: Error) => reasons.push(e.message));
      else return "done";
      throw new Error("gave up");
    });
    queue.add("a");
    await clock.advance(6_000);
    expect(reasons).toEqual(["reconcile deadline exceeded"]);
    expect(queue.busy).toBe(0);
    await end();
  });
});

describe("together", () => {
  it("ends all loops when one fails, and tells why", async () => {
    const clock = new FakeClock();
    let ended = false;
    const stop = new AbortController();
    const done = together(
      stop.signal,
      (signal) => clock.sleep(1_000_000, signal).finally(() => (ended = true)),
      () => Promise.reject(new Error("broken")),
    );
    await expect(done).rejects.toThrow("broken");
    expect(ended).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("ends quietly when aborted", async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const done = together(stop.signal, (signal) => clock.sleep(1_000_000, signal));
    stop.abort();
    await expect(done).resolves.toBeUndefined();
  });
});
