import { describe, expect, test } from "@jest/globals";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { NodeDataPath, type NetworkPart, PAUSE_MS } from "./node-network.ts";
import type { Ruleset } from "./nft/ruleset.ts";
import { ModelTable } from "./nft/testing/model-table.ts";

/** A part whose rules a test sets. */
class Part implements NetworkPart {
  readonly name: string;
  ready: Promise<void> = Promise.resolve();
  told = 0;
  #rules: readonly string[] | Error = [];
  #changed: () => void = () => {};

  constructor(name: string) {
    this.name = name;
  }

  whenReady = () => this.ready;
  applied = () => void this.told++;

  onChange(changed: () => void): Disposable {
    this.#changed = changed;
    return { [Symbol.dispose]: () => (this.#changed = () => {}) };
  }

  set(rules: readonly string[] | Error): void {
    this.#rules = rules;
    this.#changed();
  }

  plan(): Partial<Ruleset> {
    if (this.#rules instanceof Error) throw this.#rules;
    return { chains: { [this.name]: { rules: this.#rules } } };
  }
}

function start(parts: readonly Part[]) {
  const clock = new FakeClock();
  const kernel = new ModelTable("t");
  const state = { broken: false, applies: 0, gone: false };
  const table = {
    name: "t",
    apply: async (commands: string) => {
      if (state.broken) throw new Error("the kernel refuses");
      kernel.apply(commands);
      state.applies++;
      state.gone = false;
    },
    exists: async () => !state.gone,
  };
  const path = new NodeDataPath({ table, parts, clock, random: seededRandom(1), log: silent });
  const stop = new AbortController();
  const done = path.run(stop.signal);
  const rules = (name: string) => kernel.content()?.chains[name]?.rules;
  const end = async () => {
    stop.abort();
    await done;
    expect(clock.pending).toBe(0);
  };
  return { clock, path, state, rules, end };
}

describe("NodeDataPath", () => {
  test("T1: nothing is applied before all have seen what they watch", async () => {
    const [a, b] = [new Part("a"), new Part("b")];
    let ready = () => {};
    b.ready = new Promise((resolve) => (ready = resolve));
    a.set(["accept"]);
    const t = start([a, b]);
    await t.clock.advance(1_000);
    expect(t.state.applies).toBe(0);
    ready();
    await t.clock.advance(1);
    expect(t.rules("a")).toEqual(["accept"]);
    await t.end();
  });

  test("T3: a change alone at once, many together in one transaction", async () => {
    const a = new Part("a");
    const t = start([a]);
    await t.clock.advance(1_000);
    const before = t.state.applies;
    a.set(["accept"]);
    await t.clock.advance(1);
    expect(t.rules("a")).toEqual(["accept"]);
    for (const rules of [["drop"], [], ["return"]]) a.set(rules);
    await t.clock.advance(PAUSE_MS);
    expect([t.rules("a"), t.state.applies - before]).toEqual([["return"], 2]);
    expect(a.told).toBe(3);
    await t.end();
  });

  test("T4: what fails is tried again, as a whole", async () => {
    const a = new Part("a");
    const t = start([a]);
    await t.clock.advance(100);
    t.state.broken = true;
    a.set(["accept"]);
    await t.clock.advance(5_000);
    expect(t.path.counters.failed).toBeGreaterThan(2);
    expect(t.rules("a")).toEqual([]);
    t.state.broken = false;
    await t.clock.advance(10_000);
    expect([t.rules("a"), t.path.counters.rebuilt]).toEqual([["accept"], 2]);
    await t.end();
  });

  test("T4: a table that somebody removed is made anew", async () => {
    const a = new Part("a");
    const t = start([a]);
    await t.clock.advance(100);
    t.state.gone = true;
    await t.clock.advance(20_000);
    expect([t.state.gone, t.path.counters.rebuilt]).toEqual([false, 2]);
    await t.end();
  });

  test("T5: who cannot plan keeps what it had, the others go on", async () => {
    const [a, b] = [new Part("a"), new Part("b")];
    const t = start([a, b]);
    a.set(["accept"]);
    await t.clock.advance(100);
    a.set(new Error("an object nobody thought of"));
    b.set(["drop"]);
    await t.clock.advance(100);
    expect([t.rules("a"), t.rules("b")]).toEqual([["accept"], ["drop"]]);
    await t.end();
  });
});
