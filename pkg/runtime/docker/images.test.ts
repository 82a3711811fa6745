import { expect, test } from "@jest/globals";
import { FakeClock } from "../../util/fake-clock.ts";
import { imageRef, type PullProgress } from "../images.ts";
import { DockerApi } from "./api.ts";
import { Images } from "./images.ts";
import { type PullMessage, PullTally } from "./pull-progress.ts";

/** A daemon that takes the call and says nothing more. */
class SilentApi extends DockerApi {
  override stream(...[{ signal }]: Parameters<DockerApi["stream"]>): ReturnType<DockerApi["stream"]> {
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  }
}

test("a pull without progress is given up, and says so", async () => {
  const clock = new FakeClock();
  const failed = new Images(new SilentApi({}), clock)
    .pull("registry.example/app:1", new AbortController().signal)
    .catch((error: unknown) => error);
  await clock.advance(59_000);
  expect(clock.pending).toBe(1);
  await clock.advance(2_000);
  const why = { reason: "ErrImagePull", message: "pull of registry.example/app:1: no progress for 60 s" };
  expect(await failed).toMatchObject(why);
  expect(clock.pending).toBe(0);
});

test.each<[string, readonly PullMessage[], PullProgress]>([
  ["nothing said", [{ status: "Pulling from app", id: "1.0" }], { layers: 0, layersDone: 0, bytes: 0, bytesTotal: 0 }],
  [
    "a layer that is there already is not fetched",
    [
      { status: "Already exists", id: "a" },
      { status: "Pulling fs layer", id: "b" },
    ],
    { layers: 1, layersDone: 0, bytes: 0, bytesTotal: 0 },
  ],
  [
    "two layers, one on its way and one done",
    [
      { status: "Pulling fs layer", id: "a" },
      { status: "Pulling fs layer", id: "b" },
      { status: "Downloading", id: "a", progressDetail: { current: 30, total: 100 } },
      { status: "Downloading", id: "b", progressDetail: { current: 10, total: 50 } },
      { status: "Download complete", id: "b" },
      { status: "Extracting", id: "b", progressDetail: { current: 1, total: 50 } },
      { status: "Pull complete", id: "b" },
    ],
    { layers: 2, layersDone: 1, bytes: 80, bytesTotal: 150 },
  ],
])("progress of a pull: %s", (_, messages, progress) => {
  const tally = new PullTally();
  for (const m of messages) tally.add(m);
  expect(tally.progress).toEqual(progress);
});

const ID = `sha256:${"1".repeat(64)}`;
const DIGEST = `sha256:${"2".repeat(64)}`;

test.each([
  ["app:1", [`other/app@${DIGEST}`, `app@${DIGEST}`, "app:1"], `app@${DIGEST}`],
  ["host:5000/app", [`host:5000/app@${DIGEST}`], `host:5000/app@${DIGEST}`],
  ["app:2", [`other/app@${DIGEST}`, "app:2"], `other/app@${DIGEST}`],
  ["made-here", ["made-here:latest"], ID],
])("imageID of %s among %j", (image, names, ref) => {
  expect(imageRef({ id: ID, names }, image)).toBe(ref);
});
