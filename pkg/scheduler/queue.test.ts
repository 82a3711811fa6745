import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { FakeClock } from "../util/fake-clock.ts";
import type { ClusterEvent } from "./framework.ts";
import { SchedulingQueue, type QueuedPod } from "./queue.ts";
import { info } from "./fakes.ts";

function make() {
  const clock = new FakeClock();
  const wakeOn: Record<string, readonly ClusterEvent[]> = {
    Fit: ["PodGone", "NodeAdded"],
    Taints: ["NodeTaintsChanged"],
  };
  const queue = new SchedulingQueue({ clock, wakeOn: (plugin) => wakeOn[plugin] ?? [] });
  return { clock, queue };
}

function popped(queue: SchedulingQueue): QueuedPod {
  const pod = queue.pop();
  if (!pod) throw new Error("nothing to pop");
  return pod;
}

describe("SchedulingQueue", () => {
  it("Q2: leaves by priority, then in the order of arrival", () => {
    const { queue } = make();
    for (const [name, priority] of [
      ["a", 0],
      ["b", 10],
      ["c", 0],
      ["d", 10],
    ] as const)
      queue.put(info(name, { priority }));
    expect(Array.from({ length: 4 }, () => queue.pop()?.info.pod.metadata.name)).toEqual(["b", "d", "a", "c"]);
    expect(queue.pop()).toBeUndefined();
  });

  it("Q3: a parked Pod comes back by an event it waits for, after its back-off, and by no other", async () => {
    const { clock, queue } = make();
    queue.put(info("a"));
    queue.park(popped(queue), ["Fit"]);
    queue.move("NodeTaintsChanged");
    await clock.advance(20_000);
    expect(queue.counts().parked).toBe(1);
    queue.move("NodeAdded");
    expect(queue.counts().active).toBe(1);

    queue.park(popped(queue), ["Fit"]);
    queue.move("PodGone");
    expect(queue.counts()).toMatchObject({ active: 0, backoff: 1 });
    await clock.advance(1_999);
    expect(queue.pop()).toBeUndefined();
    await clock.advance(1);
    expect(queue.pop()?.attempts).toBe(3);
  });

  it("Q3: a new node wakes whoever waits, also those that no plugin refused because there was no node at all", async () => {
    const { clock, queue } = make();
    queue.put(info("a"));
    queue.park(popped(queue), []);
    await clock.advance(1_000);
    queue.move("NodeAdded");
    expect(queue.counts().active).toBe(1);
    queue.put(info("b"));
    const inFlight = [popped(queue), popped(queue)];
    queue.move("NodeAdded");
    for (const pod of inFlight) queue.park(pod, []);
    expect(queue.counts()).toMatchObject({ parked: 0, backoff: 2 });
  });

  it("Q3: the back-off doubles up to ten seconds", async () => {
    const { clock, queue } = make();
    queue.put(info("a"));
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      const failedAt = clock.now();
      queue.retry(popped(queue));
      await clock.advanceUntil(() => queue.counts().active === 1, 20_000, 500);
      waits.push(clock.now() - failedAt);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it("Q3: a parked Pod comes back when it is changed, or after five minutes; its status does not count", async () => {
    const { clock, queue } = make();
    queue.put(info("a"));
    queue.put(info("b"));
    queue.park(popped(queue), ["Fit"]);
    queue.park(popped(queue), ["Fit"]);
    queue.put(info("a"));
    expect(queue.counts().parked).toBe(2);
    queue.put(info("a", { requests: { cpu: "1" } }));
    expect(popped(queue).key).toBe("default/a");
    await clock.advance(5 * 60_000);
    expect(popped(queue).key).toBe("default/b");
  });

  it("Q4: an event while the Pod is in flight is not lost", async () => {
    const { clock, queue } = make();
    queue.put(info("a"));
    const a = popped(queue);
    queue.move("PodGone");
    queue.park(a, ["Fit"]);
    await clock.advance(1_000);
    expect(queue.counts().active).toBe(1);
  });

  it("Q5: a gated Pod waits for its gates to go", () => {
    const { queue } = make();
    queue.put(info("a", { schedulingGates: [{ name: "later" }] }));
    expect(queue.pop()).toBeUndefined();
    queue.put(info("a"));
    expect(popped(queue).key).toBe("default/a");
  });

  it("a Pod replaced by another of its name while in flight: the answer for the old one says nothing of the new", () => {
    const { queue } = make();
    queue.put(info("a"));
    const old = popped(queue);
    queue.put({ ...info("a"), uid: "another" });
    queue.done(old);
    expect(popped(queue).info.uid).toBe("another");
  });

  it("Q1: never loses nor duplicates a Pod, whatever happens", async () => {
    const op = fc.tuple(
      fc.constantFrom("put", "change", "remove", "pop", "park", "retry", "done", "move", "advance"),
      fc.integer({ min: 0, max: 4 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 80 }), async (ops) => {
        const { clock, queue } = make();
        const expected = new Set<string>();
        const inFlight: QueuedPod[] = [];
        const wrong: string[] = [];
        for (const [name, n] of ops) {
          const key = `default/p${n}`;
          if (name === "put" || name === "change") {
            queue.put(info(`p${n}`, name === "change" ? { requests: { cpu: String(inFlight.length) } } : {}));
            expected.add(key);
          }
          if (name === "remove") {
            queue.remove(key);
            expected.delete(key);
          }
          if (name === "pop") {
            const pod = queue.pop();
            const twice = inFlight.some((p) => p.key === pod?.key && p.place === "in-flight");
            if (pod && (twice || !expected.has(pod.key))) wrong.push(pod.key);
            if (pod) inFlight.push(pod);
          }
          const answered = ["park", "retry", "done"].includes(name) ? inFlight.shift() : undefined;
          if (answered && name === "park") queue.park(answered, n % 2 ? ["Fit"] : []);
          if (answered && name === "retry") queue.retry(answered);
          if (answered && name === "done") {
            if (answered.place === "in-flight") expected.delete(answered.key);
            queue.done(answered);
          }
          if (name === "move") queue.move(n % 2 ? "PodGone" : "NodeTaintsChanged");
          if (name === "advance") await clock.advance(n * 1_000);
          expect(queue.size).toBe(expected.size);
          expect(Object.values(queue.counts()).reduce((a, b) => a + b, 0)).toBe(expected.size);
        }
        for (const pod of inFlight) queue.retry(pod);
        await clock.advance(6 * 60_000);
        const left = new Set<string>();
        for (let pod = queue.pop(); pod; pod = queue.pop()) {
          expect(left.has(pod.key)).toBe(false);
          left.add(pod.key);
        }
        expect(left).toEqual(expected);
        expect(wrong).toEqual([]);
        queue[Symbol.dispose]();
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
