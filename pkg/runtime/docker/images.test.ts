import { expect, test } from "@jest/globals";
import { FakeClock } from "../../util/fake-clock.ts";
import { DockerApi } from "./api.ts";
import { Images } from "./images.ts";

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
  await clock.advance(119_000);
  expect(clock.pending).toBe(1);
  await clock.advance(2_000);
  const why = { reason: "ErrImagePull", message: "pull of registry.example/app:1: no progress for 120 s" };
  expect(await failed).toMatchObject(why);
  expect(clock.pending).toBe(0);
});
