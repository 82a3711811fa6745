import { describe, expect, test } from "@jest/globals";
import type { Job } from "./generated/types.ts";
import { gangSize, QUEUE, queueOf, splitPlace, withPlace } from "./job-queue.ts";

describe("a Job's queue", () => {
  test.each([
    ["its label", { labels: { [QUEUE]: "a" }, annotations: { [QUEUE]: "b" } }, "a"],
    ["its annotation", { annotations: { [QUEUE]: "b" } }, "b"],
    ["none, where it says nothing", { labels: { [QUEUE]: "" } }, undefined],
  ])("is %s", (_, metadata, queue) => {
    expect(queueOf({ metadata })).toBe(queue);
  });

  test.each([
    [{}, {}, 1],
    [{ parallelism: 4 }, {}, 4],
    [{ parallelism: 4, completions: 2 }, {}, 2],
    [{ parallelism: 4, completions: 5 }, { succeeded: 3 }, 2],
    [{ parallelism: 0, completions: 5 }, {}, 0],
  ])("a gang of %j, having done %j, is of %i Pods", (spec, status, size) => {
    const job: Job = { metadata: {}, spec: { template: {}, ...spec }, status };
    expect(gangSize(job)).toBe(size);
  });

  test("what is put together for people is taken apart again", () => {
    const why = "waits for 2 gpu: 6 wanted, 4 free";
    const message = withPlace(why, { place: 3, of: 5, queue: "team-a" });
    expect(message).toBe("waits for 2 gpu: 6 wanted, 4 free; place 3 of 5 in queue team-a");
    expect(splitPlace(message)).toEqual({ why, place: 3 });
    expect(splitPlace("started after 3s")).toEqual({ why: "started after 3s", place: undefined });
  });
});
