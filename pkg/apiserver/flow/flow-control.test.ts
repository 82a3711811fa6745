import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { flowSchemas } from "../../api/kinds/flowcontrol/flowschema.ts";
import { priorityLevelConfigurations } from "../../api/kinds/flowcontrol/prioritylevelconfiguration.ts";
import type { PriorityLevelConfiguration } from "../../api/generated/types.ts";
import { onResource } from "../../api/rbac/attributes.ts";
import { FakeClock, settle } from "../../util/fake-clock.ts";
import { Metrics } from "../../util/metrics.ts";
import { viewOf } from "../admission/testing/requests.ts";
import { defaultSchemas, priorityLevels } from "./defaults.ts";
import { FlowControl, type Turn, WAIT_MS } from "./flow-control.ts";

const uids = <T extends { metadata: { name?: string } }>(o: T): T => ({
  ...o,
  metadata: { ...o.metadata, uid: `${o.metadata.name ?? ""}-uid` },
});
const defaults = viewOf(
  ...priorityLevels.map((o) => [priorityLevelConfigurations, uids(o)] as const),
  ...defaultSchemas.map((o) => [flowSchemas, uids(o)] as const),
);

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});
afterEach(() => {
  if (clock.pending > 0) throw new Error(`${clock.pending} timers were left behind`);
});

const list = (user: string, group = "system:authenticated") =>
  onResource({ name: user, groups: [group] }, "list", { resource: "pods", namespace: "shop" });

interface Seen {
  readonly turn: Turn;
  state: "waits" | "runs" | "refused";
}

function enter(flow: FlowControl, user: string, o: { width?: number; group?: string } = {}): Seen {
  const turn = flow.enter(list(user, o.group), () => o.width ?? 1);
  const seen: Seen = { turn, state: turn.ready ? "waits" : "runs" };
  turn.ready?.then(
    () => (seen.state = "runs"),
    () => (seen.state = "refused"),
  );
  return seen;
}

const states = (all: readonly Seen[]) => {
  const count = (state: Seen["state"]) => all.filter((s) => s.state === state).length;
  return { runs: count("runs"), waits: count("waits"), refused: count("refused") };
};

test("who finds seats runs at once; others wait and come in turn; the greedy one's queues are full one day", async () => {
  const flow = new FlowControl({ view: defaults, clock });
  const greedy = Array.from({ length: 400 }, () => enter(flow, "greedy"));
  await settle();
  // 4 seats of its own, 2 of them lent away, and what others do not keep; then six queues of 50.
  expect(states(greedy)).toEqual({ runs: 60, waits: 300, refused: 40 });
  const patient = enter(flow, "patient");
  expect(patient.state).toBe("waits");
  let ended = 0;
  for (const g of greedy.filter((s) => s.state === "runs")) {
    if (patient.state !== "waits") break;
    await clock.advance(10);
    g.turn.leave();
    ended += 1;
    await settle();
  }
  expect(patient.state).toBe("runs");
  expect(ended).toBeLessThanOrEqual(7);
  for (const s of [...greedy, patient]) s.turn.leave();
  await settle();
});

test("no load of users takes what nodes and leaders keep", () => {
  const flow = new FlowControl({ view: defaults, clock });
  const crowd = Array.from({ length: 100 }, (_, i) => enter(flow, `user-${i}`));
  const nodes = Array.from({ length: 8 }, (_, i) => enter(flow, `system:node:n${i}`, { group: "system:nodes" }));
  expect(nodes.map((n) => n.state)).toEqual(nodes.map(() => "runs"));
  const admin = enter(flow, "admin", { group: "system:masters", width: 10 });
  expect([admin.state, admin.turn.schemaUid, admin.turn.levelUid]).toEqual(["runs", "exempt-uid", "exempt-uid"]);
  for (const s of [...crowd, ...nodes, admin]) s.turn.leave();
});

test("P2: nobody waits longer than is said, and is told when to come again", async () => {
  const flow = new FlowControl({ view: defaults, clock, seats: 1 });
  const [first, second] = [enter(flow, "a"), enter(flow, "b")];
  await clock.advance(WAIT_MS - 1);
  await settle();
  expect([first.state, second.state]).toEqual(["runs", "waits"]);
  await clock.advance(1);
  await expect(second.turn.ready).rejects.toMatchObject({ code: 429, details: { retryAfterSeconds: 1 } });
  first.turn.leave();
  second.turn.leave();
});

test("when the first in the queue gives up, a narrower one behind it gets the seats that are free", async () => {
  const flow = new FlowControl({ view: defaults, clock });
  const all = Array.from({ length: 10 }, () => enter(flow, "a", { width: 7 }));
  const first = all.find((s) => s.state === "waits");
  for (const s of all) if (s !== first && s.state === "waits") s.turn.leave();
  await clock.advance(1);
  const narrow = enter(flow, "a");
  expect(narrow.state).toBe("waits");
  await clock.advance(WAIT_MS - 1);
  expect([first?.state, narrow.state]).toEqual(["refused", "runs"]);
  for (const s of [...all, narrow]) s.turn.leave();
  await settle();
});

test("P1: whatever comes, goes, gives up or runs out of time: in the end no seat is taken and nobody waits", async () => {
  const step = fc.record({
    do: fc.constantFrom("enter", "enter", "enter", "leave", "leaveTwice", "wait"),
    user: fc.constantFrom("a", "b", "c", "system:node:x"),
    width: fc.integer({ min: 1, max: 10 }),
    which: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 60 }), async (steps, seats) => {
      const flow = new FlowControl({ view: defaults, clock, seats });
      const metrics = new Metrics();
      flow.metrics(metrics);
      const all: Seen[] = [];
      for (const s of steps) {
        const group = s.user.startsWith("system:node") ? "system:nodes" : undefined;
        if (s.do === "enter") all.push(enter(flow, s.user, { width: s.width, ...(group && { group }) }));
        else if (s.do === "wait") await clock.advance(s.which % 20_000);
        else {
          const one = all[s.which % Math.max(1, all.length)];
          one?.turn.leave();
          if (s.do === "leaveTwice") one?.turn.leave();
        }
        await settle();
      }
      for (const { turn } of all) turn.leave();
      await settle();
      expect(states(all).waits).toBe(0);
      const text = await metrics.text();
      for (const name of ["current_executing_seats", "current_executing_requests", "current_inqueue_requests"]) {
        const values = [...text.matchAll(new RegExp(`^apiserver_flowcontrol_${name}\\{.*\\} (.*)$`, "gm"))].map(
          (m) => m[1],
        );
        expect([name, new Set(values)]).toEqual([name, new Set(["0"])]);
      }
      const fresh = Array.from({ length: 1 }, () => enter(flow, "later"));
      expect(fresh.map((s) => s.state)).toEqual(["runs"]);
      for (const { turn } of fresh) turn.leave();
    }),
    { numRuns: 60 },
  );
});

describe("configuration", () => {
  const level = (name: string, spec: object): PriorityLevelConfiguration => ({
    metadata: { name },
    spec: spec as never,
  });
  const schema = (name: string, to: string, matchingPrecedence = 10) => ({
    metadata: { name, uid: `${name}-uid` },
    spec: {
      matchingPrecedence,
      priorityLevelConfiguration: { name: to },
      rules: [
        {
          subjects: [{ kind: "User", user: { name: "*" } }],
          resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"] }],
        },
      ],
    },
  });
  const rejecting = { type: "Limited", limited: { nominalConcurrencyShares: 1, limitResponse: { type: "Reject" } } };

  test("nothing is there yet: the mandatory schemas hold", () => {
    const flow = new FlowControl({ view: viewOf(), clock });
    const one = enter(flow, "jane");
    expect(one.state).toBe("runs");
    one.turn.leave();
  });

  test("who wrote into the mandatory ones changed nothing", () => {
    const view = viewOf(
      [flowSchemas, { ...schema("exempt", "none"), spec: { priorityLevelConfiguration: { name: "none" } } } as never],
      [priorityLevelConfigurations, level("exempt", rejecting)],
    );
    const flow = new FlowControl({ view, clock, seats: 1 });
    const admins = Array.from({ length: 5 }, () => enter(flow, "admin", { group: "system:masters" }));
    expect(states(admins).runs).toBe(5);
    for (const { turn } of admins) turn.leave();
  });

  test("a schema without its level is passed over", () => {
    const view = viewOf([flowSchemas, schema("mine", "missing") as never]);
    const one = enter(new FlowControl({ view, clock }), "jane");
    expect([one.state, one.turn.schemaUid]).toEqual(["runs", ""]);
    one.turn.leave();
  });

  test("a level that rejects lets nobody wait", async () => {
    const view = viewOf(
      [flowSchemas, schema("mine", "strict") as never],
      [priorityLevelConfigurations, level("strict", rejecting)],
    );
    const flow = new FlowControl({ view, clock, seats: 1 });
    const all = [enter(flow, "jane"), enter(flow, "jane")];
    await settle();
    expect(states(all)).toEqual({ runs: 1, waits: 0, refused: 1 });
    for (const { turn } of all) turn.leave();
  });

  test("with the last request of a level that was deleted, what it kept is there for others", async () => {
    const limited = (nominalConcurrencyShares: number, lendablePercent = 0) => ({
      type: "Limited",
      limited: { nominalConcurrencyShares, lendablePercent, limitResponse: { type: "Reject" } },
    });
    const rest = [
      [priorityLevelConfigurations, level("small", limited(1))],
      [priorityLevelConfigurations, level("lender", limited(94, 100))],
      [flowSchemas, schema("others", "small", 20) as never],
    ] as const;
    const before = viewOf(
      ...rest,
      [priorityLevelConfigurations, level("large", limited(900))],
      [flowSchemas, schema("mine", "large") as never],
    );
    let view = before;
    const flow = new FlowControl({
      view: { list: (ref) => view.list(ref), changedAt: () => (view === before ? 1n : 2n) },
      clock,
      seats: 10,
    });
    const last = enter(flow, "jane");
    view = viewOf(...rest);
    const crowd = () => Array.from({ length: 10 }, () => enter(flow, "joe"));
    const all = crowd();
    await settle();
    expect(states(all).runs).toBe(1);
    last.turn.leave();
    all.push(...crowd());
    await settle();
    expect(states(all).runs).toBe(8); // but for one that each of the other two keeps
    for (const { turn } of all) turn.leave();
  });
});
