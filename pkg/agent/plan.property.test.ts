/** The planner's invariants (P1–P9, E1–E4, S4) on walks at random: any Pod, any order of what is done and what happens. */
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Container, Pod } from "../api/generated/types.ts";
import { initContainersOf, isTerminalPhase, roleOf } from "./facts.ts";
import { planPod } from "./plan.ts";
import type { PodAction } from "./plan-action.ts";
import { PodWorld, type Step } from "./testing/pod-world.ts";

const maybe = <T>(value: T) => fc.option(fc.constant(value), { nil: undefined });

const HOOK = { exec: { command: ["hook"] } };

const container = (name: string): fc.Arbitrary<Container> =>
  fc
    .record({ preStop: maybe(HOOK), postStart: maybe(HOOK), startupProbe: maybe(HOOK) })
    .map(({ preStop, postStart, startupProbe }) => ({
      name,
      image: "app",
      imagePullPolicy: "IfNotPresent",
      ...(startupProbe && { startupProbe }),
      lifecycle: { ...(preStop && { preStop }), ...(postStart && { postStart }) },
    }));

const sidecar = (name: string) => container(name).map((c): Container => ({ ...c, restartPolicy: "Always" }));
const init = (name: string) => fc.constant<Container>({ name, image: "app", imagePullPolicy: "IfNotPresent" });
const named = (names: readonly string[], of: (name: string) => fc.Arbitrary<Container>) =>
  fc.subarray([...names]).chain((some) => fc.tuple(...some.map(of)));

const pods: fc.Arbitrary<Pod> = fc
  .record({
    inits: named(["i1", "i2", "i3"], (name) => fc.oneof(init(name), sidecar(name))),
    main: container("m0"),
    mains: named(["m1", "m2"], container),
    ephemerals: named(["e1"], init),
    restartPolicy: fc.constantFrom("Always", "OnFailure", "Never"),
  })
  .map(({ inits, main, mains, ephemerals, restartPolicy }) => ({
    metadata: { name: "web", namespace: "default", uid: "u1" },
    spec: {
      restartPolicy,
      initContainers: inits,
      containers: [main, ...mains],
      ephemeralContainers: ephemerals,
    },
  }));

/** What happens beside the plan, by weight. */
type Event = "step" | "wait" | "exit" | "fail" | "started" | "sandbox" | "delete";
const walks = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 30, arbitrary: fc.constant<Event>("step") },
      { weight: 6, arbitrary: fc.constantFrom<Event>("exit", "fail", "started", "wait") },
      { weight: 1, arbitrary: fc.constantFrom<Event>("sandbox", "delete") },
    ),
    fc.nat(),
  ),
  { maxLength: 120 },
);

const isStep = (a: PodAction): a is Step => a.type !== "wait";
const pick = <T>(of: readonly T[], n: number): T | undefined => of[n % Math.max(1, of.length)];

function happen(w: PodWorld, event: Event, n: number, plan: readonly PodAction[]): void {
  const step = pick(plan.filter(isStep), n);
  const running = pick(w.running(), n);
  if (event === "step" && step) w.do(step);
  else if (event === "step" || event === "wait") w.now += 1 + (n % 40_000);
  else if (event === "sandbox") w.killSandbox();
  else if (event === "delete") w.delete(n % 60);
  else if (!running) return;
  else if (event === "started") w.memory.probes.set(running.id, { started: true, ready: true });
  else w.exit(running, event === "exit" ? 0 : 1 + (n % 3));
}

/** Everything that must hold of a plan in this world. */
function check(w: PodWorld, plan: readonly PodAction[]): void {
  const steps = plan.filter(isStep);
  const facts = w.memory.facts(false);
  expect(planPod(w.view, w.actual, facts, w.now)).toEqual(plan); // P1
  const of = steps.map((a) => JSON.stringify([a.type, "id" in a ? a.id : "container" in a ? a.container : ""]));
  expect(new Set(of).size).toBe(of.length); // P1
  for (const a of steps) checkStep(w, a);
  if (isTerminalPhase(w.pod.status?.phase)) expect(w.running()).toEqual([]); // S4
}

function checkStep(w: PodWorld, a: Step): void {
  const inits = initContainersOf(w.view);
  const running = w.running();
  switch (a.type) {
    case "createSandbox":
      return expect(running).toEqual([]); // P2
    case "createContainer":
    case "startContainer": {
      const role = roleOf(w.view, a.container);
      if (role === "ephemeral") return expect(w.created.get(a.container) ?? 0).toBeLessThanOrEqual(1); // P8
      const place = inits.findIndex((c) => c.name === a.container);
      const before = inits.slice(0, place === -1 ? inits.length : place).map((c) => c.name);
      return expect(before.filter((name) => !w.done.has(name))).toEqual([]); // P3
    }
    case "stopContainer":
      return checkStop(w, a);
    case "deletePod":
      expect(w.actual?.containers ?? []).toEqual([]); // P5
      return expect(w.actual?.sandbox).toBeUndefined();
    default:
  }
}

function checkStop(w: PodWorld, a: Extract<Step, { type: "stopContainer" }>): void {
  const { endingSince = w.now, stops, drained } = w.memory.facts(false);
  const late = w.now >= (endingSince ?? w.now) + a.graceSeconds * 1000; // E4
  if (late) return;
  const role = roleOf(w.view, a.container);
  const order = initContainersOf(w.view).map((c) => c.name);
  const others = w.running().filter((c) => c.id !== a.id);
  if (w.spec(a.container)?.lifecycle?.preStop) expect(stops.get(a.id)?.hooked).toBe(true); // E1
  if (a.reason === "PodDeleted") expect(drained).toBe(true); // E3
  if (role !== "sidecar") return;
  // P7, E2: nobody who needs it is left.
  const needing = others.filter(
    (c) => roleOf(w.view, c.name) !== "sidecar" || order.indexOf(c.name) > order.indexOf(a.container),
  );
  expect(needing.map((c) => c.name)).toEqual([]);
}

test("P1–P9, E1–E4 and S4 hold wherever a walk leads", () => {
  fc.assert(
    fc.property(pods, walks, (pod, walk) => {
      const w = new PodWorld(pod);
      for (const [event, n] of walk) {
        const plan = w.plan();
        check(w, plan);
        happen(w, event, n, plan);
      }
    }),
    { numRuns: 300 },
  );
});

/** Does all that is planned, and nothing else happens, but that init containers succeed and startup probes do. */
function rest(w: PodWorld): readonly PodAction[] {
  for (let round = 0; round < 200; round++) {
    const plan = w.plan();
    check(w, plan);
    const steps = plan.filter(isStep);
    for (const a of steps) w.do(a);
    const inits = w.running().filter((c) => roleOf(w.view, c.name) === "init");
    for (const c of inits) w.exit(c, 0);
    const starting = w.running().filter((c) => !w.hasStarted(c) && !w.memory.postStarts.has(c.id));
    for (const c of starting) w.memory.probes.set(c.id, { started: true, ready: true });
    if (steps.length > 0 || inits.length > 0 || starting.length > 0) continue;
    const waits = plan.flatMap((a) => (a.type === "wait" ? [a.until] : []));
    if (waits.length === 0) return plan;
    w.now = Math.max(w.now, Math.min(...waits));
  }
  throw new Error(`no rest after 200 rounds: ${JSON.stringify(w.plan())}`);
}

test("left alone, every Pod comes to rest: running as it should (P4), at its end, or gone", () => {
  fc.assert(
    fc.property(pods, walks, (pod, walk) => {
      const w = new PodWorld(pod);
      for (const [event, n] of walk) happen(w, event, n, w.plan());
      expect(rest(w)).toEqual([]);
      if (w.pod.metadata.deletionTimestamp !== undefined) return expect(w.memory.deleted).toBe(true);
      const names = new Set(w.running().map((c) => c.name));
      if (isTerminalPhase(w.pod.status?.phase)) return expect(names.size).toBe(0);
      const sidecars = (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === "Always");
      for (const c of sidecars) expect(names).toContain(c.name); // P7
      expect((pod.spec?.containers ?? []).some((c) => names.has(c.name))).toBe(true);
    }),
    { numRuns: 300 },
  );
});
