import { expect, test } from "@jest/globals";
import { PassThrough } from "node:stream";
import { FakeClock, settle } from "../util/fake-clock.ts";
import { Pulse } from "./pulse.ts";

test("a watch that begins while the server is asked for one that has ended has one pulse, not two", async () => {
  const clock = new FakeClock();
  let answer = () => {};
  const ask = () => new Promise<void>((resolve) => (answer = resolve));
  const pulse = new Pulse({ ask, everyMs: 100, clock, onDead: () => {} });
  const before = new PassThrough();
  pulse.watch(before);
  await clock.advance(100);
  before.destroy();
  await settle();
  pulse.watch(new PassThrough());
  answer();
  await settle();
  expect(clock.pending).toBe(1);
  pulse[Symbol.dispose]();
  expect(clock.pending).toBe(0);
});
