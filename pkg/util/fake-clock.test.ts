import { describe, expect, test } from "@jest/globals";
import { FakeClock } from "./fake-clock.ts";

describe("advanceUntil", () => {
  test("moves on until the condition holds, and no further", async () => {
    const clock = new FakeClock(0);
    await clock.advanceUntil(() => clock.now() >= 120, 1_000, 50);
    expect(clock.now()).toBe(150);
  });

  test("a condition that itself waits for time gets it", async () => {
    const clock = new FakeClock(0);
    const slow = async () => {
      await clock.sleep(100, new AbortController().signal);
      return true;
    };
    await clock.advanceUntil(slow, 1_000, 50);
    expect(clock.now()).toBe(100);
  });

  test("gives up after its limit, and passes on what the condition throws", async () => {
    const clock = new FakeClock(0);
    await expect(clock.advanceUntil(() => false, 200, 50)).rejects.toThrow("condition not met after 200 ms");
    await expect(clock.advanceUntil(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    expect(clock.pending).toBe(0);
  });
});
