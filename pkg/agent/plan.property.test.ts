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

/** What does not hold of a plan in this world, by the number of the invariant. */
function violations(w: PodWorld, plan: readonly PodAction[]): string[] {
  const steps = plan.filter(isStep);
  const again = planPod(w.view, w.actual, w.memory.facts(false), w.now);
  const targets = steps.map((a) => `${a.type}/${"id" in a ? a.id : "container" in a ? a.container : ""}`);
  return [
    ...broken("P1 another plan", JSON.stringify(again) !== JSON.stringify(plan)),
    ...broken("P1 twice the same", new Set(targets).size !== targets.length),
    ...broken("S4", isTerminalPhase(w.pod.status?.phase) && w.running().length > 0),
    ...steps.flatMap((a) => (CHECKS[a.type]?.(w, a as never) ?? []).map((v) => `${v}: ${JSON.stringify(a)}`)),
  ];
}

const broken = (invariant: string, is: boolean): string[] => (is ? [invariant] : []);

type Checks = { [T in Step["type"]]?: (w: PodWorld, a: Extract<Step, { type: T }>) => string[] };

const CHECKS: Checks = {
  createSandbox: (w) => broken("P2", w.running().length > 0),
  createContainer: ofStart,
  startContainer: ofStart,
  stopContainer: ofStop,
  deletePod: (w) => broken("P5", w.actual?.sandbox !== undefined || (w.actual?.containers ?? []).length > 0),
};

function ofStart(w: PodWorld, a: { readonly container: string }): string[] {
  if (roleOf(w.view, a.container) === "ephemeral") return broken("P8", (w.created.get(a.container) ?? 0) > 1);
  const order = initContainersOf(w.view).map((c) => c.name);
  const place = order.indexOf(a.container);
  const before = place === -1 ? order : order.slice(0, place);
  return broken(
    "P3",
    before.some((name) => !w.done.has(name)),
  );
}

function ofStop(w: PodWorld, a: Extract<Step, { type: "stopContainer" }>): string[] {
  const { endingSince = w.now, stops, drained } = w.memory.facts(false);
  if (w.now >= endingSince + a.graceSeconds * 1000) return []; // E4
  const sidecar = roleOf(w.view, a.container) === "sidecar";
  const order = initContainersOf(w.view).map((c) => c.name);
  const needIt = w
    .running()
    .filter((c) => roleOf(w.view, c.name) !== "sidecar" || order.indexOf(c.name) > order.indexOf(a.container));
  const hook = w.spec(a.container)?.lifecycle?.preStop;
  return [
    ...broken("E1", hook !== undefined && !stops.get(a.id)?.hooked),
    ...broken("E2, P7", sidecar && needIt.length > 0),
    ...broken("E3", a.reason === "PodDeleted" && !drained),
  ];
}

test("P1–P9, E1–E4 and S4 hold wherever a walk leads", () => {
  fc.assert(
    fc.property(pods, walks, (pod, walk) => {
      const w = new PodWorld(pod);
      for (const [event, n] of walk) {
        const plan = w.plan();
        expect(violations(w, plan)).toEqual([]);
        happen(w, event, n, plan);
      }
    }),
    { numRuns: 300 },
  );
});

/**
 * Does all that is planned, and nothing else happens but that startup probes succeed, and init containers do, and main
 * containers that may end.
 */
function rest(w: PodWorld): readonly PodAction[] {
  for (let round = 0; round < 200; round++) {
    const plan = w.plan();
    const steps = plan.filter(isStep);
    for (const a of steps) w.do(a);
    const inits = w.running().filter((c) => roleOf(w.view, c.name) === "init");
    for (const c of inits) w.exit(c, 0);
    const starting = w.running().filter((c) => !w.hasStarted(c) && !w.memory.postStarts.has(c.id));
    for (const c of starting) w.memory.probes.set(c.id, { started: true, ready: true });
    if (steps.length > 0 || inits.length > 0 || starting.length > 0) continue;
    const waits = plan.flatMap((a) => (a.type === "wait" ? [a.until] : []));
    const mains = w.running().filter((c) => roleOf(w.view, c.name) === "main");
    const mayEnd = w.pod.spec?.restartPolicy === "Always" ? [] : mains;
    for (const c of mayEnd) w.exit(c, 0);
    if (mayEnd.length > 0) continue;
    if (waits.length === 0) return plan;
    w.now = Math.max(w.now, Math.min(...waits));
  }
  throw new Error(`no rest after 200 rounds: ${JSON.stringify(w.plan())}`);
}

type Rest = "deleted" | "over" | "running" | "neither";

function restOf(w: PodWorld): Rest {
  const names = new Set(w.running().map((c) => c.name));
  if (w.memory.deleted) return "deleted";
  if (isTerminalPhase(w.pod.status?.phase)) return names.size === 0 ? "over" : "neither";
  const { initContainers = [], containers = [] } = w.pod.spec ?? {};
  const sidecars = initContainers.every((c) => c.restartPolicy !== "Always" || names.has(c.name)); // P7
  return sidecars && containers.some((c) => names.has(c.name)) ? "running" : "neither";
}

test("left alone, every Pod comes to rest: running as it should (P4), at its end, or gone", () => {
  const reached = new Set<Rest>();
  fc.assert(
    fc.property(pods, walks, (pod, walk) => {
      const w = new PodWorld(pod);
      for (const [event, n] of walk) happen(w, event, n, w.plan());
      expect(rest(w)).toEqual([]);
      const deleted = w.pod.metadata.deletionTimestamp !== undefined;
      expect(deleted ? ["deleted"] : ["over", "running"]).toContain(restOf(w));
      reached.add(restOf(w));
    }),
    { numRuns: 300 },
  );
  expect([...reached].toSorted()).toEqual(["deleted", "over", "running"]);
});
