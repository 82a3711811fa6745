import { expect, test } from "@jest/globals";
import { type ImageFlags, imageSettings } from "./image-flags.ts";

test("what is not said stays the agent's own", () => {
  expect(imageSettings({})).toEqual({ imageGc: {}, keptLogs: {} });
});

test("each flag is what the agent is told, in its units", () => {
  const flags: ImageFlags = {
    imageGcHighThreshold: "90",
    imageGcLowThreshold: "70",
    minimumImageTtlDuration: "30s",
    imageMaximumGcAge: "0",
    imagePullProgressDeadline: "5",
    maxParallelImagePulls: "1",
    keptLogsAge: "2",
    keptLogsSize: "0",
  };
  expect(imageSettings(flags)).toEqual({
    imageGc: { highPercent: 90, lowPercent: 70, minimumAgeMs: 30_000, maximumAgeMs: 0 },
    keptLogs: { maxAgeMs: 7_200_000, maxBytes: 0 },
    parallelPulls: 1,
    pullProgressMs: 5_000,
  });
});

test.each<[ImageFlags, string]>([
  [{ imageGcHighThreshold: "101" }, "--image-gc-high-threshold 101: a whole number from 0 to 100 is needed"],
  [{ imageGcHighThreshold: "80" }, "--image-gc-low-threshold must be less than --image-gc-high-threshold"],
  [{ imageGcLowThreshold: "85" }, "--image-gc-low-threshold must be less than --image-gc-high-threshold"],
  [{ maxParallelImagePulls: "0" }, "--max-parallel-image-pulls 0: a whole number of at least 1 is needed"],
  [{ keptLogsAge: "1d" }, "--kept-logs-age 1d: a whole number of at least 0 is needed"],
  [{ imagePullProgressDeadline: "-1" }, "--image-pull-progress-deadline -1: a whole number of at least 1 is needed"],
])("%j is refused", (flags, message) => {
  expect(() => imageSettings(flags)).toThrow(message);
});
