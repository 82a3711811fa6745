import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeRuntime } from "../../runtime/fake.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { PulledImages } from "./ledger.ts";
import { ImageGc } from "./loop.ts";
import { IMAGE_GC_DEFAULTS } from "./plan.ts";

const MINUTE = 60_000;

describe("the node's images", () => {
  const signal = new AbortController().signal;
  let clock: FakeClock;
  let directory: string;
  let runtime: FakeRuntime;
  let ledger: PulledImages;
  let available: number;
  let wanted: string[];
  let events: string[];

  beforeEach(async () => {
    clock = new FakeClock();
    directory = await mkdtemp(join(tmpdir(), "image-gc-"));
    runtime = new FakeRuntime({ clock, images: ["mine"] });
    ledger = open();
    available = 5_000_000;
    wanted = [];
    events = [];
    for (const name of ["a", "b", "c"]) {
      const { id } = await runtime.pullImage(name, signal);
      ledger.pulled(id, name, clock.now());
      await clock.advance(MINUTE);
    }
  });
  afterEach(() => rm(directory, { recursive: true }));

  const open = () => new PulledImages({ file: join(directory, "images.json"), log: silent });
  const gc = () =>
    new ImageGc({
      runtime,
      clock,
      log: silent,
      ledger,
      settings: IMAGE_GC_DEFAULTS,
      disk: () => Promise.resolve({ total: 10_000_000, available }),
      wanted: () => wanted,
      event: (_, reason, message) => events.push(`${reason}: ${message}`),
    });
  const here = async () => (await runtime.listImages(signal)).flatMap((i) => i.names).toSorted();

  test("go in the order of their use until there is room, and no more", async () => {
    available = 100_000; // of 10 MB: 1.9 MB short of the low mark, an image has 1 MB
    wanted = ["a"];
    await clock.advance(10 * MINUTE);
    expect(await gc().look(IMAGE_GC_DEFAULTS, signal)).toBe(2_000_000);
    expect(await here()).toEqual(["a", "mine"]);
    expect(events).toEqual([]);
  });

  test("when nothing may go, the node says that it could not help itself", async () => {
    available = 100_000;
    wanted = ["a", "b", "c"];
    await gc().look(IMAGE_GC_DEFAULTS, signal);
    expect(await here()).toEqual(["a", "b", "c", "mine"]);
    expect(events).toEqual([
      "FreeDiskSpaceFailed: Failed to garbage collect required amount of images. Attempted to free 1900000 bytes, but only found 0 bytes eligible to free.",
    ]);
  });

  test("under pressure all that nobody uses, young or not; what was not pulled stays", async () => {
    wanted = ["b"];
    await gc().removeUnused(signal);
    expect(await here()).toEqual(["b", "mine"]);
  });

  test("what an agent has pulled, the next one knows", async () => {
    await ledger.save();
    const next = open();
    await next.load();
    expect([...next.images.values()].flatMap((i) => i.names)).toEqual(["a", "b", "c"]);
  });

  test("the loop looks by itself, outlives a runtime that is away, and ends", async () => {
    available = 0;
    const stop = new AbortController();
    runtime.failNext("listImages", new Error("away"));
    const running = gc().run(stop.signal);
    await clock.advance(2 * MINUTE);
    expect(await here()).toContain("a");
    await clock.advance(3 * MINUTE);
    await ledger.save();
    await clock.advance(0);
    stop.abort();
    await running;
    expect(await here()).not.toContain("a");
  });
});
