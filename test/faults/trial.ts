/** One fault, once: warm up, inject at a random moment, hold, heal, wait until all is whole, judge. */
import { namespaces } from "../../pkg/api/kinds/core/namespace.ts";
import { seededRandom } from "../../pkg/util/clock.ts";
import { Dice } from "../harness/dice.ts";
import { ELSEWHERE_LIMIT, type Fault, type Injected } from "./fault.ts";
import { isWrite } from "./history.ts";
import { longestPause, twoLeaders, violations } from "./invariants.ts";
import type { Machines } from "./machines.ts";
import { rebalance, REPLICAS, Strength, untilWhole } from "./whole.ts";
import { pause, Workload } from "./workload.ts";

const START_LIMIT_MS = 90_000;
const WARM_UP_MS = 1_500;
/** Of which a random part passes before the fault. */
const MOMENT_MS = 1_500;
/** Who finds its time over has a second to stop in (E1 of pkg/reconcile/leader.ts), and says so a moment later. */
const LEADER_GRACE_MS = 1_500;

export interface Trial {
  readonly fault: string;
  readonly seed: number;
  readonly detail: string;
  /** Nothing: all invariants held. */
  readonly problems: readonly string[];
  /** The longest time without an acknowledged write, through any server. */
  readonly writePauseMs: number;
  /** From the fault until all replicas were ready for good. */
  readonly weakMs: number;
  /** From the end of the fault until everything was as before. */
  readonly wholeMs: number | undefined;
  readonly calls: { readonly ok: number; readonly failed: number; readonly unknown: number };
  /** What ended by itself, and was started again. */
  readonly restarts: readonly string[];
}

export async function runTrial(m: Machines, fault: Fault, seed: number): Promise<Trial> {
  const dice = new Dice(seededRandom(seed));
  const servers = m.servers();
  await rebalance(m, servers, START_LIMIT_MS);
  const namespace = `faults-${seed}-${m.trials++}`;
  await servers[0]?.client.resource(namespaces).create({ metadata: { name: namespace } });
  // Of its own: in which order clients come to ask for chance is not in our hands.
  await using workload = await Workload.start({ servers, namespace, dice: new Dice(seededRandom(seed + 1)) });
  await using strength = new Strength(servers);
  m.restarts = [];
  await pause(WARM_UP_MS + MOMENT_MS * dice.random());
  const injectedAt = performance.now();
  const injected = await fault.inject(m, dice);
  const problems = await hold(fault, injected, { dice, strength, since: injectedAt });
  await injected.heal();
  const healedAt = performance.now();
  const wholeAt = await untilWhole(m, servers, fault.limit * 1000).catch((error: unknown) => {
    problems.push(String(error));
    return undefined;
  });
  await strength.stop();
  const evidence = await workload.stop().catch((error: unknown) => void problems.push(String(error)));
  const { history } = workload;
  const terms = m.leaders.terms().filter((t) => t.end > injectedAt);
  if (evidence) problems.push(...violations({ history, ...evidence }));
  problems.push(...twoLeaders(terms, m.pauses, LEADER_GRACE_MS));
  const { most } = strength;
  if (most > REPLICAS)
    problems.push(`${most} Pods were there at once, and ${REPLICAS} are wanted: who made the others?`);
  // What is not whole is taken down.
  if (wholeAt !== undefined) await servers[0]?.client.resource(namespaces).delete(namespace);
  const count = (outcome: string) => history.filter((o) => o.outcome === outcome).length;
  if (!history.some((o) => isWrite(o) && o.outcome === "ok" && o.start > healedAt)) problems.push("no write after it");
  return {
    fault: fault.name,
    seed,
    detail: injected.detail,
    problems,
    writePauseMs: longestPause(history, injectedAt, wholeAt ?? performance.now()),
    weakMs: strength.weakFor(injectedAt),
    wholeMs: wholeAt === undefined ? undefined : Math.max(0, wholeAt - healedAt),
    calls: { ok: count("ok"), failed: count("failed"), unknown: count("unknown") },
    restarts: m.restarts,
  };
}

/** What went wrong while it lasted. */
async function hold(
  { hold: [least, most] }: Fault,
  { without }: Injected,
  o: { dice: Dice; strength: Strength; since: number },
): Promise<string[]> {
  await pause(1000 * (least + (most - least) * o.dice.random()));
  if (!without) return [];
  while (!o.strength.fullWithout(without.name)) {
    if (performance.now() - o.since > ELSEWHERE_LIMIT * 1000)
      return [`the Pods of ${without.name} do not run elsewhere after ${ELSEWHERE_LIMIT} s`];
    await pause(50);
  }
  return [];
}
