import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FairQueues, handOf, hashOf, type Ticket } from "./fair-queues.ts";

describe("hands", () => {
  test("are dealt from the whole deck, no card twice, the same for the same flow", () => {
    const shape = fc.record({ queues: fc.integer({ min: 1, max: 256 }), handSize: fc.integer({ min: 1, max: 8 }) });
    fc.assert(
      fc.property(fc.string(), shape, (flow, { queues, handSize }) => {
        const hand = handOf(hashOf(flow), { queues, handSize });
        expect(hand).toHaveLength(Math.min(queues, handSize));
        expect(new Set(hand).size).toBe(hand.length);
        expect(hand.every((card) => card >= 0 && card < queues)).toBe(true);
        expect(handOf(hashOf(flow), { queues, handSize })).toEqual(hand);
      }),
    );
  });

  test("of a thousand users, none has all of another's: a greedy one leaves everybody a queue", () => {
    const shape = { queues: 128, handSize: 6 };
    const greedy = new Set(handOf(hashOf("greedy"), shape));
    const shut = Array.from({ length: 1000 }, (_, i) => handOf(hashOf(`user-${i}`), shape)).filter((hand) =>
      hand.every((card) => greedy.has(card)),
    );
    expect(shut).toEqual([]);
  });
});

/** One queue a flow: what hands do is another matter. */
const shape = { queues: 4096, handSize: 1, queueLengthLimit: 10_000 };

interface Request {
  readonly flow: string;
  readonly width: number;
  readonly seconds: number;
}

const request = (flow: string) =>
  fc.record({
    flow: fc.constant(flow),
    width: fc.integer({ min: 1, max: 10 }),
    seconds: fc.integer({ min: 1, max: 20 }),
  });

/** Serves one request after the other until `until` says so; what each flow got. */
function serve(queues: FairQueues<Request>, until: (served: Map<string, number>) => boolean): Map<string, number> {
  const served = new Map<string, number>();
  for (let ticket = queues.next(); ticket && !until(served); ticket = queues.next()) {
    const { flow, width, seconds } = ticket.item;
    queues.start(ticket);
    queues.end(ticket, seconds);
    served.set(flow, (served.get(flow) ?? 0) + width * seconds);
  }
  return served;
}

const add = (queues: FairQueues<Request>, r: Request) => queues.add({ item: r, hash: hashOf(r.flow), width: r.width });

test("Q1: as long as both have work, two flows get the same, whatever their requests cost", () => {
  const both = fc.tuple(
    fc.array(request("a"), { minLength: 1, maxLength: 60 }),
    fc.array(request("b"), { minLength: 1, maxLength: 60 }),
  );
  fc.assert(
    fc.property(both, ([as, bs]) => {
      const queues = new FairQueues<Request>(shape);
      for (const r of [...as, ...bs]) add(queues, r);
      const left = { a: as.length, b: bs.length };
      const served = { a: 0, b: 0 };
      for (let t = queues.next(); t && left.a > 0 && left.b > 0; t = queues.next()) {
        const flow = t.item.flow as "a" | "b";
        queues.start(t);
        queues.end(t, t.item.seconds);
        served[flow] += t.item.width * t.item.seconds;
        left[flow] -= 1;
        const dearest = 10 * 20;
        expect(Math.abs(served.a - served.b)).toBeLessThanOrEqual(2 * dearest);
      }
    }),
  );
});

test("Q1: against a hundred greedy requests, each of a patient flow is served after at most one of theirs", () => {
  const queues = new FairQueues<Request>(shape);
  for (let i = 0; i < 100; i++) add(queues, { flow: "greedy", width: 10, seconds: 5 });
  let greedy = 0;
  for (let i = 0; i < 20; i++) {
    serve(queues, () => greedy++ > 0);
    greedy = 0;
    add(queues, { flow: "patient", width: 1, seconds: 1 });
    let between = 0;
    for (let t = queues.next(); t; t = queues.next()) {
      queues.start(t);
      queues.end(t, t.item.seconds);
      if (t.item.flow === "patient") break;
      between += 1;
    }
    expect(between).toBeLessThanOrEqual(1);
  }
});

test("Q2: who was away has saved nothing up: the others do not stand still for it", () => {
  const queues = new FairQueues<Request>(shape);
  for (let i = 0; i < 200; i++) add(queues, { flow: "here", width: 1, seconds: 1 });
  const before = serve(queues, (s) => (s.get("here") ?? 0) >= 100);
  expect(before.get("here")).toBe(100);
  for (let i = 0; i < 100; i++) add(queues, { flow: "back", width: 1, seconds: 1 });
  const after = serve(queues, (s) => (s.get("back") ?? 0) >= 20);
  expect(after.get("here")).toBeGreaterThanOrEqual(18);
});

test("however many queues there are, only those cost anything that are used", () => {
  const queues = new FairQueues<number>({ queues: 2 ** 33, handSize: 2 ** 33, queueLengthLimit: 1 });
  const ticket = queues.add({ item: 1, hash: hashOf("a"), width: 1 });
  expect(queues.next()).toBe(ticket);
});

test("Q3: bounded, in order; who gives up is not served", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 80 }), (steps) => {
      const queues = new FairQueues<number>({ queues: 1, handSize: 1, queueLengthLimit: 5 });
      const model: number[] = [];
      const tickets = new Map<number, Ticket<number>>();
      const does = [add, add, serveOne, giveUp] as const;
      function add(i: number): boolean {
        const ticket = queues.add({ item: i, hash: 1, width: 1 });
        if (!ticket) return model.length === 5;
        tickets.set(i, ticket);
        return model.push(i) <= 5;
      }
      function serveOne(): boolean {
        const ticket = queues.next();
        if (ticket) queues.start(ticket);
        return ticket?.item === model.shift();
      }
      function giveUp(): boolean {
        const ticket = tickets.get(model.pop() ?? -1);
        return !ticket || (queues.remove(ticket) && !queues.remove(ticket));
      }
      steps.forEach((step, i) => {
        expect(does[step]?.(i)).toBe(true);
        expect(queues.length).toBe(model.length);
      });
    }),
  );
});
