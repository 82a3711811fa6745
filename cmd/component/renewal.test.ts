import { expect, test } from "@jest/globals";
import { FakeClock } from "../../pkg/util/fake-clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { daily } from "./renewal.ts";

const HOUR = 3_600_000;

test("it is looked at once a day, after a failure within the hour, and no longer when it is to end", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const at: number[] = [];
  const start = clock.now();
  const renew = async () => {
    at.push((clock.now() - start) / HOUR);
    if (at.length === 2) throw new Error("the disk is full");
  };
  const done = daily(renew, { clock, log: silent }, stop.signal);
  await clock.advance(80 * HOUR);
  expect(at).toEqual([24, 48, 49, 73]);
  stop.abort();
  await done;
  expect(clock.pending).toBe(0);
});
