import { expect, test } from "@jest/globals";
import { FakeClock } from "../../util/fake-clock.ts";
import { Claims } from "./claims.ts";

test("a name is its first asker's, until that gives it back or has had time enough", async () => {
  const clock = new FakeClock();
  const claims = new Claims(clock);
  expect(["a", "b", "a"].map((request) => claims.claim("w1", request))).toEqual([true, false, true]);
  expect(claims.claim("w2", "b")).toBe(true);
  claims.release("w1", "b");
  expect(claims.claim("w1", "b")).toBe(false);
  claims.release("w1", "a");
  expect(claims.claim("w1", "b")).toBe(true);
  await clock.advance(59_000);
  expect(claims.claim("w1", "a")).toBe(false);
  await clock.advance(1_000);
  expect(claims.claim("w1", "a")).toBe(true);
  claims.settle("w1");
  expect(claims.claim("w1", "b")).toBe(true);
});

test("what was given away before counts from then", async () => {
  const clock = new FakeClock();
  const claims = new Claims(clock);
  expect(claims.claim("w1", "a", clock.now() - 50_000)).toBe(true);
  await clock.advance(9_000);
  expect(claims.claim("w1", "b")).toBe(false);
  await clock.advance(1_000);
  expect(claims.claim("w1", "b")).toBe(true);
});
