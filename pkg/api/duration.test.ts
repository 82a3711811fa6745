import { expect, test } from "@jest/globals";
import { humanAge, humanDuration } from "./duration.ts";

const s = 1000;
const m = 60 * s;
const h = 60 * m;
const d = 24 * h;

test.each([
  [-2 * s, "<invalid>"],
  [-1.5 * s, "0s"],
  [0, "0s"],
  [59 * s + 999, "59s"],
  [119 * s, "119s"],
  [120 * s, "2m"],
  [3 * m + 20 * s, "3m20s"],
  [10 * m + 20 * s, "10m"],
  [179 * m, "179m"],
  [180 * m, "3h"],
  [5 * h + 30 * m, "5h30m"],
  [8 * h + 30 * m, "8h"],
  [47 * h, "47h"],
  [48 * h, "2d"],
  [2 * d + 4 * h, "2d4h"],
  [8 * d + 4 * h, "8d"],
  [729 * d, "729d"],
  [730 * d, "2y"],
  [740 * d, "2y10d"],
  [365 * 8 * d + 5 * d, "8y"],
])("%d ms is %s", (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

test("an age needs a timestamp", () => {
  const now = Date.parse("2026-01-01T00:10:00Z");
  expect(humanAge("2026-01-01T00:00:00Z", now)).toBe("10m");
  expect(humanAge(undefined, now)).toBe("<unknown>");
  expect(humanAge(null, now)).toBe("<unknown>");
});
