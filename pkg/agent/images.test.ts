import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { FakeRuntime } from "../runtime/fake.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { ImageStore, type PullPolicy, pulled } from "./images.ts";
import type { Keyring } from "./keyring.ts";
import { PullReport } from "./pull-report.ts";

const ringOf = (...passwords: string[]): Keyring =>
  passwords.map((password) => ({ place: "r.io", auth: { username: "u", password } }));

describe("ImageStore", () => {
  const clock = new FakeClock();
  let runtime: FakeRuntime;
  let store: ImageStore;
  let stop: AbortController;
  let said: string[];

  beforeEach(() => {
    runtime = new FakeRuntime({ clock, images: ["here"] });
    store = new ImageStore({ runtime, clock, parallelPulls: 2 });
    stop = new AbortController();
    said = [];
  });
  afterEach(() => {
    if (clock.pending > 0) throw new Error(`${clock.pending} timers leaked`);
  });

  const ensure = (image: string, o: { policy?: PullPolicy; keyring?: Keyring; signal?: AbortSignal } = {}) =>
    store.ensure(
      {
        image,
        policy: o.policy ?? "IfNotPresent",
        keyring: () => Promise.resolve(o.keyring ?? []),
        onPull: () => said.push(`pulling ${image}`),
        onProgress: (message) => said.push(message),
      },
      o.signal ?? stop.signal,
    );
  const pulls = () => runtime.calls.get("pullImage") ?? 0;

  test.each<[string, PullPolicy, number, string]>([
    ["here", "IfNotPresent", 0, 'Container image "here" already present on machine'],
    ["here", "Never", 0, 'Container image "here" already present on machine'],
    ["here", "Always", 1, 'Successfully pulled image "here" in 0ms. Image size: 1000000 bytes.'],
    ["other", "IfNotPresent", 1, 'Successfully pulled image "other" in 0ms. Image size: 1000000 bytes.'],
  ])("%s with %s makes %d pulls", async (image, policy, count, message) => {
    const got = await ensure(image, { policy });
    expect(pulls()).toBe(count);
    expect(said).toEqual(count > 0 ? [`pulling ${image}`] : []);
    expect(pulled(image, got)).toBe(message);
  });

  test("Never of what is not here is refused", async () => {
    await expect(ensure("other", { policy: "Never" })).rejects.toMatchObject({ reason: "ErrImageNeverPull" });
  });

  test("I1: who asks at once shares a pull; not too many images at a time", async () => {
    const all = ["slow:5s", "slow:5s", "slow:6s", "slow:7s"].map((image) => ensure(image));
    await clock.advance(1_000);
    expect(pulls()).toBe(2);
    await clock.advance(20_000);
    await Promise.all(all);
    expect(pulls()).toBe(3);
  });

  test("I2: the wrong password does not share in the right one's pull", async () => {
    const image = "r.io/secret-word";
    const [right, wrong] = await Promise.allSettled([
      ensure(image, { keyring: ringOf("word") }),
      ensure(image, { keyring: ringOf("nonsense") }),
    ]);
    expect(right.status).toBe("fulfilled");
    expect(wrong).toMatchObject({ reason: { reason: "ErrImagePull", message: `pull access denied for ${image}` } });
  });

  test("credentials are tried in turn, and what each of them got is told once", async () => {
    await ensure("r.io/secret-word", { keyring: ringOf("a", "b", "word") });
    expect(pulls()).toBe(3);
    const failed = ensure("r.io/secret-other", { keyring: ringOf("a", "b") });
    await expect(failed).rejects.toMatchObject({ message: "pull access denied for r.io/secret-other" });
  });

  test("I3: a pull ends with the last who waits for it, not with the first who asked", async () => {
    const first = new AbortController();
    const gone = ensure("slow:5s", { signal: first.signal }).catch((error: unknown) => error);
    const stays = ensure("slow:5s");
    await clock.advance(1_000);
    first.abort(new Error("deleted"));
    expect(await gone).toMatchObject({ message: "deleted" });
    await clock.advance(5_000);
    expect(await stays).toMatchObject({ ref: "sha256:fake-slow:5s" });

    const alone = ensure("slow:9s").catch((error: unknown) => error);
    await clock.advance(1_000);
    expect(clock.pending).toBeGreaterThan(0);
    stop.abort(new Error("deleted, too"));
    expect(await alone).toMatchObject({ message: "deleted, too" });
    await clock.advance(0);
  });

  test("I4: what was made here is used when no registry gives it", async () => {
    runtime.failNext("pullImage", new RuntimeError("ErrImagePull", "no such host"));
    const got = await ensure("here", { policy: "Always" });
    expect(pulled("here", got)).toMatch(/"here" was made on this machine: used as it is, .*: no such host$/);
    runtime.failNext("pullImage", new RuntimeError("RuntimeUnavailable", "away"));
    await expect(ensure("here", { policy: "Always" })).rejects.toMatchObject({ reason: "RuntimeUnavailable" });
  });

  test("a long pull tells of itself, to all who wait", async () => {
    const both = [ensure("slow:100s"), ensure("slow:100s")];
    await clock.advance(100_000);
    await Promise.all(both);
    const shares = said.filter((s) => s.startsWith("Pulling image")).map((s) => /(\d+)%/.exec(s)?.[1]);
    expect(shares).toEqual(["30", "30", "50", "50", "80", "80", "100", "100"]);
  });
});

test.each<[string, readonly (readonly [seconds: number, percent: number])[], readonly number[]]>([
  [
    "nothing in the first ten seconds",
    [
      [1, 30],
      [9, 90],
    ],
    [],
  ],
  [
    "each quarter once",
    [
      [11, 26],
      [22, 30],
      [33, 51],
      [44, 52],
    ],
    [26, 51],
  ],
  [
    "a sign of life a minute",
    [
      [11, 1],
      [59, 2],
      [61, 3],
      [100, 4],
      [122, 5],
    ],
    [3, 5],
  ],
])("progress that is worth an event: %s", (_, seen, told) => {
  const report = new PullReport("app", 0);
  const messages = seen.map(([seconds, percent]) =>
    report.due({ layers: 2, layersDone: 1, bytes: percent, bytesTotal: 100 }, seconds * 1000),
  );
  expect(messages.flatMap((m) => (m === undefined ? [] : [Number(/(\d+)%/.exec(m)?.[1])]))).toEqual(told);
});
