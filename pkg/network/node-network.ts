/**
 * The data path of one node: what the parts of the network plan from what they watch, merged into one ruleset and
 * brought into the kernel as the difference to what is there.
 *
 *  T1  Nothing is applied before every part has seen all it watches: a restart takes no Service away.
 *  T2  No packet fails because of a change: each is one transaction, what it newly leads to was made before
 *      ({@link prepared}), and rules do not rely on elements that may have gone since they began (see balancerChain).
 *  T3  A change that comes alone is applied at once; many together are applied at most every {@link PAUSE_MS}.
 *  T4  After a failure, or when somebody removed the table, all of it is made anew; until that succeeds the old stays.
 *  T5  A part that cannot plan keeps what it had; the others go on.
 */
import { onAbort } from "../reconcile/controller.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { diffRulesets, mergeRulesets, prepared, renderRuleset, type Ruleset } from "./nft/ruleset.ts";
import type { NftTable } from "./nft/table.ts";

export interface NetworkPart {
  readonly name: string;
  /** Resolves when `plan` knows all it must; rejects when the signal aborts. */
  whenReady(signal: AbortSignal): Promise<void>;
  /** `changed` is called whenever `plan` may say something else. */
  onChange(changed: () => void): Disposable;
  /** What the table should hold now. Must be quick and do nothing else. */
  plan(): Partial<Ruleset>;
  /** What was planned last is in the data path. Must not wait, must not throw. */
  applied?(): void;
}

export interface NodeDataPathOptions {
  readonly table: NftTable;
  readonly parts: readonly NetworkPart[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface NetworkCounters {
  /** Transactions, failed ones, and those that made the whole table anew. */
  readonly applied: number;
  readonly failed: number;
  readonly rebuilt: number;
  /** From the plan to the kernel's answer, of the last transaction. */
  readonly lastMs: number;
}

export const PAUSE_MS = 10;
/** How often it is seen to that the table is still there. */
const CHECK_MS = 10_000;
const RETRY = { initialMs: 100, maxMs: 10_000, jitter: 0.3 };

export class NodeDataPath {
  readonly #o: NodeDataPathOptions;
  readonly #dirty: Set<NetworkPart>;
  readonly #fragments = new Map<NetworkPart, Partial<Ruleset>>();
  /** Undefined: what the kernel holds is not known. */
  #inKernel: Ruleset | undefined;
  #wake: () => void = () => {};
  #counters = { applied: 0, failed: 0, rebuilt: 0, lastMs: 0 };

  constructor(o: NodeDataPathOptions) {
    this.#o = o;
    this.#dirty = new Set(o.parts);
  }

  get counters(): NetworkCounters {
    return this.#counters;
  }

  /** Until the signal aborts. The table stays: Pods go on talking while their agent is away. */
  async run(signal: AbortSignal): Promise<void> {
    const { parts, clock, log, random } = this.#o;
    using _watches = this.#watch();
    using _end = onAbort(signal, () => this.#wake());
    try {
      await Promise.all(parts.map((p) => p.whenReady(signal)));
      for (let failures = 0; !signal.aborted;) {
        failures = (await this.#bringUpToDate(signal)) ? 0 : failures + 1;
        await clock.sleep(failures > 0 ? backoffMs(failures, RETRY, random) : PAUSE_MS, signal);
        if (failures === 0) await this.#untilDirty(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      log.debug({}, "the node's network is left as it is");
    }
  }

  #watch(): Disposable {
    const watches = this.#o.parts.map((part) =>
      part.onChange(() => {
        this.#dirty.add(part);
        this.#wake();
      }),
    );
    return { [Symbol.dispose]: () => watches.forEach((w) => w[Symbol.dispose]()) };
  }

  async #untilDirty(signal: AbortSignal): Promise<void> {
    while (this.#dirty.size === 0 && this.#inKernel && !signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const checking = new AbortController();
      const check = this.#o.clock.sleep(CHECK_MS, checking.signal).then(() => this.#check(signal));
      await Promise.race([woken, check.catch(() => {})]);
      checking.abort();
    }
    this.#wake = () => {};
  }

  async #check(signal: AbortSignal): Promise<void> {
    const exists = await this.#o.table.exists(signal).catch(() => true); // what hinders it will hinder a change, too
    if (exists) return;
    this.#o.log.warn({ table: this.#o.table.name }, "somebody removed the table; it is made anew");
    this.#inKernel = undefined;
  }

  /** False: it failed, and must be tried again. */
  async #bringUpToDate(signal: AbortSignal): Promise<boolean> {
    const { table, clock, log } = this.#o;
    const started = clock.now();
    const planned = this.#plan();
    try {
      const wanted = mergeRulesets([...this.#fragments.values()]);
      const before = this.#inKernel;
      const transactions = before ? changes(table.name, before, wanted) : [renderRuleset(table.name, wanted)];
      for (const commands of transactions) await table.apply(commands, signal);
      this.#inKernel = wanted;
      if (transactions.length > 0) this.#count(before ? "applied" : "rebuilt", clock.now() - started);
    } catch (error) {
      if (signal.aborted) return true;
      log.error({ err: error, table: table.name }, "the node's network was not changed, will retry");
      this.#inKernel = undefined;
      this.#counters = { ...this.#counters, failed: this.#counters.failed + 1 };
      for (const part of planned) this.#dirty.add(part);
      return false;
    }
    for (const part of planned) part.applied?.();
    return true;
  }

  #count(what: "applied" | "rebuilt", lastMs: number): void {
    const { applied, rebuilt } = this.#counters;
    const more = what === "rebuilt" ? { rebuilt: rebuilt + 1 } : {};
    this.#counters = { ...this.#counters, applied: applied + 1, ...more, lastMs };
  }

  /** Those of which something new was heard. */
  #plan(): readonly NetworkPart[] {
    const parts = [...this.#dirty];
    this.#dirty.clear();
    return parts.filter((part) => {
      try {
        this.#fragments.set(part, part.plan());
        return true;
      } catch (error) {
        this.#o.log.error({ err: error, part: part.name }, "a part of the network cannot plan; it stays as it was");
        return false;
      }
    });
  }
}

/** In order (T2); mostly one, often none. */
function changes(table: string, before: Ruleset, after: Ruleset): readonly string[] {
  const ready = prepared(before, after);
  return [diffRulesets(table, before, ready), diffRulesets(table, ready, after)].filter((commands) => commands !== "");
}
