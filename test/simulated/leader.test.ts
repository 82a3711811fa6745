/** Replicas that vie for a Lease over an API server which each of them reaches badly. A seed that fails fails again. */
import { expect, test } from "@jest/globals";
import type { Lease } from "../../pkg/api/generated/types.ts";
import { leases } from "../../pkg/api/kinds/coordination/lease.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { Client } from "../../pkg/client/client.ts";
import type { Transport } from "../../pkg/client/transport.ts";
import { runAsLeader } from "../../pkg/reconcile/leader.ts";
import { MemoryStore } from "../../pkg/store/memory.ts";
import { type Clock, type Random, seededRandom, sleepOn } from "../../pkg/util/clock.ts";
import { FakeClock } from "../../pkg/util/fake-clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { testSeeds } from "../harness/seeds.ts";

const LEASE = { namespace: "kube-system", name: "kube-scheduler" };
/** By default settings a leader has a second to stop in; the fastest clock leaves this much of it. */
const STOP_MS = 900;
/** The longest that nobody leads after a crash, by default settings. */
const TAKEOVER_MS = 5_000;

/** A machine's clock: it shows another time, jumps, and runs a little fast or slow. */
class OwnClock implements Clock {
  readonly #real: Clock;
  readonly #rate: number;
  offset = 0;

  constructor(real: Clock, rate: number) {
    this.#real = real;
    this.#rate = rate;
  }

  now(): number {
    return this.#real.now() * this.#rate + this.offset;
  }

  after(ms: number, fn: () => void): Disposable {
    return this.#real.after(ms / this.#rate, fn);
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }
}

/** What can go wrong between a replica and the API server. */
class Line implements Transport {
  cut = false;
  /** Up to this long there, and as long back. */
  slowMs = 0;
  lostAnswers = 0;
  readonly #to: Transport;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(to: Transport, clock: Clock, random: Random) {
    this.#to = to;
    this.#clock = clock;
    this.#random = random;
  }

  async call(...[call]: Parameters<Transport["call"]>): Promise<unknown> {
    await this.#travel();
    if (call.verb === "update" && this.#random() < this.lostAnswers / 4) {
      throw conflict({ group: call.group, resource: call.resource }, call.name ?? "");
    }
    const answer = await this.#to.call(call);
    if (this.#random() < this.lostAnswers) throw new ApiError("ServiceUnavailable", "the answer was lost");
    await this.#travel();
    return answer;
  }

  watch(): never {
    throw new Error("nobody watches a Lease they vie for");
  }

  async #travel(): Promise<void> {
    if (this.slowMs > 0) await this.#clock.sleep(this.#random() * this.slowMs, new AbortController().signal);
    if (this.cut) throw new ApiError("ServiceUnavailable", "away");
  }
}

class Replica {
  readonly clock: OwnClock;
  readonly line: Line;
  terms = 0;
  /** The term in which it acts; 0: none. */
  #acting = 0;
  readonly #name: string;
  readonly #real: FakeClock;
  readonly #random: Random;
  readonly #acts: (replica: Replica) => void;
  #run: { stop: AbortController; done: Promise<void> } | undefined;
  #runs = 0;

  constructor(name: string, o: { real: FakeClock; to: Transport; random: Random; acts: (r: Replica) => void }) {
    this.#name = name;
    this.#real = o.real;
    this.#random = o.random;
    this.#acts = o.acts;
    this.clock = new OwnClock(o.real, 0.97 + o.random() * 0.06);
    this.clock.offset = (o.random() - 0.5) * 86_400_000;
    this.line = new Line(o.to, o.real, o.random);
  }

  get acting(): boolean {
    return this.#acting > 0;
  }

  get runs(): boolean {
    return this.#run !== undefined;
  }

  start(): void {
    const stop = new AbortController();
    const options = {
      client: new Client(this.line, "scheduler"),
      lease: LEASE,
      identity: `${this.#name}_${this.#runs++}`,
      clock: this.clock,
      random: this.#random,
      log: silent,
    };
    this.#run = { stop, done: runAsLeader(options, (s) => this.#lead(s), stop.signal) };
  }

  async stop(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    run?.stop.abort();
    await run?.done;
  }

  /** As if the machine had lost its power: what is under way is not heard of again. */
  crash(): void {
    this.line.cut = true;
    void this.stop();
    this.#acting = 0;
  }

  /** Acts until told to stop, and then takes a while to have stopped. */
  async #lead(signal: AbortSignal): Promise<void> {
    const term = ++this.terms;
    this.#acting = term;
    this.#acts(this);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await this.#real.sleep(this.#random() * STOP_MS, new AbortController().signal);
    if (this.#acting === term) this.#acting = 0;
  }
}

async function withReplicas(
  seed: number,
  count: number,
  body: (o: { replicas: Replica[]; clock: FakeClock; random: Random; client: Client }) => Promise<void>,
): Promise<void> {
  const clock = new FakeClock();
  const random = seededRandom(seed);
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock, random, log: silent });
  const replicas: Replica[] = [];
  const acts = (r: Replica) => {
    const others = replicas.filter((x) => x !== r && x.acting);
    if (others.length > 0) throw new Error("two lead at once");
  };
  const to = server.transport();
  for (let n = 0; n < count; n++) replicas.push(new Replica(`r${n}`, { real: clock, to, random, acts }));
  try {
    await body({ replicas, clock, random, client: new Client(to, "test") });
  } finally {
    const stopped = Promise.all(replicas.map((r) => r.stop()));
    await clock.advance(60_000);
    await stopped;
    await server.close();
    await store.close();
  }
  expect(clock.pending).toBe(0);
}

const leaders = (replicas: readonly Replica[]) => replicas.filter((r) => r.acting).length;

test("one leads; when it crashes another does within 5 s, and at once when it stops", async () => {
  await withReplicas(1, 3, async ({ replicas, clock, client }) => {
    for (const r of replicas) r.start();
    await clock.advanceUntil(() => leaders(replicas) === 1, 1_000);
    await clock.advance(30_000);
    expect(replicas.map((r) => r.terms).toSorted((a, b) => a - b)).toEqual([0, 0, 1]);
    const first = replicas.find((r) => r.acting);
    first?.crash();
    await clock.advanceUntil(() => leaders(replicas) === 1, TAKEOVER_MS);
    const second = replicas.find((r) => r.acting);
    const stopped = second?.stop();
    await clock.advanceUntil(() => second?.acting === false, STOP_MS);
    await clock.advanceUntil(() => leaders(replicas) === 1, 700);
    await stopped;
    const lease = await client.resource<Lease>(leases, LEASE.namespace).get(LEASE.name);
    const third = replicas.find((r) => r.acting);
    expect(lease.spec).toMatchObject({
      holderIdentity: `r${third ? replicas.indexOf(third) : ""}_0`,
      leaseDurationSeconds: 3,
      leaseTransitions: 2,
    });
  });
});

test("who cannot renew stops leading before another begins", async () => {
  await withReplicas(2, 2, async ({ replicas, clock }) => {
    for (const r of replicas) r.start();
    await clock.advanceUntil(() => leaders(replicas) === 1, 1_000);
    const cut = replicas.find((r) => r.acting);
    const other = replicas.find((r) => !r.acting);
    if (!cut || !other) throw new Error("one leads, one waits");
    cut.line.cut = true;
    await clock.advanceUntil(() => other.acting, TAKEOVER_MS, 10);
    expect(cut.acting).toBe(false);
    cut.line.cut = false;
    await clock.advance(30_000);
    expect([cut.acting, other.acting]).toEqual([false, true]);
  });
});

testSeeds("E1: clocks that lie, lines that are cut or slow, lost answers, crashes: never two", 25, async (seed) => {
  await withReplicas(seed, 3, async ({ replicas, clock, random }) => {
    const pick = () => replicas[Math.floor(random() * replicas.length)] as Replica;
    for (const r of replicas) r.start();
    const faults: readonly (() => unknown)[] = [
      () => (pick().line.cut = random() < 0.6),
      () => (pick().line.slowMs = random() * 2_500),
      () => (pick().line.lostAnswers = random() * 0.5),
      () => (pick().clock.offset += (random() - 0.5) * 60_000),
      () => pick().crash(),
      () => void pick().stop(),
      () => replicas.filter((r) => !r.runs && !r.acting).forEach((r) => r.start()),
    ];
    for (let n = 0; n < 60; n++) {
      faults[Math.floor(random() * faults.length)]?.();
      await clock.advance(random() * 2_000);
    }
    for (const { line } of replicas) Object.assign(line, { cut: false, slowMs: 0, lostAnswers: 0 });
    await clock.advance(10_000);
    for (const r of replicas) if (!r.runs) r.start();
    await clock.advanceUntil(() => leaders(replicas) === 1, TAKEOVER_MS + 3_000);
    await clock.advance(20_000);
    expect(leaders(replicas)).toBe(1);
  });
});
