import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { seededRandom } from "../util/clock.ts";
import { FakeClock, settle } from "../util/fake-clock.ts";
import { WorkQueue } from "./workqueue.ts";

function make() {
  const clock = new FakeClock();
  const queue = new WorkQueue({
    clock,
    random: seededRandom(1),
    backoff: { initialMs: 100, maxMs: 1_000 },
  });
  return { clock, queue };
}

/** What `take` gives now; "nothing" when it would wait. */
async function takenNow(queue: WorkQueue): Promise<string | undefined> {
  let got: string | undefined = "nothing";
  void queue.take().then((key) => (got = key));
  await settle(1);
  return got;
}

describe("WorkQueue", () => {
  it("I1, I4: hands out each key once, in order", async () => {
    const { queue } = make();
    for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
    expect([await takenNow(queue), await takenNow(queue), await takenNow(queue)]).toEqual(["a", "b", "c"]);
    expect(await takenNow(queue)).toBe("nothing");
  });

  it("I2, I3: a key added while in hand comes again, but only after done", async () => {
    const { queue } = make();
    queue.add("a");
    expect(await takenNow(queue)).toBe("a");
    queue.add("a");
    queue.add("a");
    const second = queue.take();
    await settle(1);
    expect(queue.busy).toBe(1);
    queue.done("a");
    expect(await second).toBe("a");
    queue.done("a");
    expect(queue.busy).toBe(0);
  });

  it("I5: the earliest of several delayed additions counts", async () => {
    const { clock, queue } = make();
    queue.addAfter("a", 500);
    queue.addAfter("a", 200);
    queue.addAfter("a", 900);
    await clock.advance(199);
    expect(queue.busy).toBe(0);
    await clock.advance(1);
    expect(queue.busy).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it("backs off per key, up to a bound, until the key is well", () => {
    const { queue } = make();
    expect(Array.from({ length: 6 }, () => queue.retry("a"))).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(queue.retry("b")).toBe(100);
    queue.forget("a");
    expect(queue.retry("a")).toBe(100);
  });

  it("I6: close frees takers and timers", async () => {
    const { clock, queue } = make();
    queue.addAfter("a", 100);
    const waiting = queue.take();
    queue.close();
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
    queue.add("b");
    queue.addAfter("b", 10);
    expect(queue.busy).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it("I1–I3 under any interleaving: every addition is followed by a hand-out, never two at once", async () => {
    const op = fc.tuple(fc.constantFrom("add", "addAfter", "take", "done", "advance"), fc.integer({ min: 0, max: 4 }));
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 60 }), async (ops) => {
        const { clock, queue } = make();
        const inHand = new Set<string>();
        const owed = new Set<string>();
        let takers = 0;
        const take = () => {
          takers++;
          void queue.take().then((key) => {
            takers--;
            if (key === undefined) return;
            expect(inHand.has(key)).toBe(false);
            inHand.add(key);
            owed.delete(key);
          });
        };
        for (const [name, n] of ops) {
          const key = `k${n}`;
          if (name === "add") queue.add(key);
          if (name === "addAfter") queue.addAfter(key, n * 10);
          if (name.startsWith("add")) owed.add(key);
          if (name === "take") take();
          if (name === "advance") await clock.advance(n * 5);
          if (name === "done" && inHand.delete(key)) queue.done(key);
          await Promise.resolve();
        }
        await clock.advance(100);
        while (queue.busy > 0 || takers > 0) {
          for (const key of inHand) {
            inHand.delete(key);
            queue.done(key);
          }
          if (queue.busy === 0) break;
          take();
          await Promise.resolve();
          await Promise.resolve();
        }
        expect([...owed]).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});
