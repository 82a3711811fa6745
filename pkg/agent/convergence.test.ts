import { expect } from "@jest/globals";
import type { Container, Pod } from "../api/generated/types.ts";
import { ApiError } from "../api/status.ts";
import { type Verb } from "../runtime/fake.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { seededRandom } from "../util/clock.ts";
import { Harness } from "./testing/harness.ts";
import { testSeeds } from "../../test/harness/seeds.ts";

const VERBS: readonly Verb[] = [
  "listPods",
  "getPod",
  "events",
  "createSandbox",
  "startSandbox",
  "removeSandbox",
  "inspectImage",
  "pullImage",
  "createContainer",
  "startContainer",
  "stopContainer",
  "removeContainer",
];

const TRUE = { exec: { command: ["true"] } };
const init = { name: "init", image: "app", command: ["true"] };
const sidecar = { name: "sidecar", image: "app", restartPolicy: "Always" };
const INITS: readonly (readonly Container[])[] = [
  [],
  [init],
  [sidecar, init],
  [init, { ...sidecar, startupProbe: TRUE, lifecycle: { preStop: TRUE } }, { ...sidecar, name: "second" }],
];
const HOOKS: readonly Partial<Container>[] = [
  {},
  { lifecycle: { postStart: TRUE, preStop: { sleep: { seconds: 3 } } } },
  { readinessProbe: TRUE, startupProbe: TRUE },
];

const running = (p: Pod | undefined) => p?.status?.conditions?.find((c) => c.type === "Ready")?.status === "True";

/** Breaks whatever can break, at random, for some minutes; then lets it all heal. */
async function assertConverges(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  await using h = new Harness({ images: ["app"] });
  h.start();
  const names = ["a", "b", "c", "d", "e", "f"];
  const expected = new Map<string, readonly string[]>();
  for (const name of names) {
    const initContainers = pick(INITS);
    const sidecars = initContainers.filter((c) => c.restartPolicy === "Always").map((c) => c.name);
    expected.set(name, ["c0", "c1", ...sidecars]);
    h.create(name, [pick(HOOKS), { image: pick(["app", "pulled"]) }], { initContainers: [...initContainers] });
  }
  const deleted = new Set<string>();
  const faults: readonly (() => unknown)[] = [
    () => h.runtime.failNext(pick(VERBS), new RuntimeError("RuntimeUnavailable", "away"), 1 + Math.floor(random() * 3)),
    () => h.runtime.failNext(pick(VERBS), new RuntimeError("RuntimeError", "no")),
    () => h.runtime.delay(pick(VERBS), random() * 500),
    () => h.runtime.loseEvents(random() < 0.5),
    () =>
      [...h.runtime.world.containers.values()]
        .filter((c) => c.state === "running")
        .at(0)
        ?.exit(1),
    () => h.runtime.killSandbox(`${pick(names)}-uid`),
    () => h.runtime.removeBehindBack(`${pick(names)}-uid`, pick(["c0", "c1", undefined])),
    () => (h.api.fault = random() < 0.5 ? () => {} : (c) => refuse(c.verb, random)),
    async () => {
      await h.stop();
      h.start();
    },
    () => {
      const name = pick(names);
      if (deleted.size < 2 && h.pod(name) && !deleted.has(name)) h.api.deletePod("default", name, pick([0, 1, 30]));
      if (deleted.size < 2) deleted.add(name);
    },
  ];
  for (let n = 0; n < 60; n++) {
    await pick(faults)();
    await h.clock.advance(Math.floor(random() * 3_000));
  }
  for (const verb of VERBS) h.runtime.delay(verb, 0);
  h.runtime.loseEvents(false);
  h.api.fault = () => {};
  const left = names.filter((n) => !deleted.has(n));
  const world = () => h.runtime.world;
  const wanted = left.flatMap((n) => (expected.get(n) ?? []).map((c) => `${n}/${c}`)).toSorted();
  const live = () => [...world().containers.values()].filter((c) => c.state === "running");
  await h.clock.advanceUntil(
    () =>
      left.every((n) => running(h.pod(n))) &&
      [...deleted].every((n) => h.pod(n) === undefined) &&
      live().length === wanted.length &&
      world().sandboxes.size === left.length,
    700_000,
    500,
  );
  expect(
    live()
      .map((c) => `${c.config.podName}/${c.config.name}`)
      .toSorted(),
  ).toEqual(wanted);
}

function refuse(verb: string, random: () => number): void {
  if (verb !== "watch" && random() < 0.3) throw new ApiError("ServiceUnavailable", "away");
}

testSeeds("once faults stop, every Pod converges", 12, (seed) => assertConverges(seed), 30_000);
