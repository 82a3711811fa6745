/** A fault as data: what is broken, for how long, and when all must be well again. */
import type { Dice } from "../harness/dice.ts";
import type { TestHost } from "../harness/hosts.ts";
import type { Machines } from "./machines.ts";

export interface Injected {
  /** What was struck: `node-2`. */
  readonly detail: string;
  /** Ends the fault; resolves when that is done, not when all is well again. */
  readonly heal: () => Promise<unknown> | void;
  /** Its Pods are to run elsewhere before the fault ends. */
  readonly without?: TestHost;
}

export interface Fault {
  /** For `npm run test:faults -- NAME`. */
  readonly name: string;
  /** For the table. */
  readonly what: string;
  /** How long it lasts: seconds, least and most. */
  readonly hold: readonly [number, number];
  /** From its end until everything is as before; seconds. */
  readonly limit: number;
  readonly inject: (m: Machines, dice: Dice) => Promise<Injected>;
}

/** Of a lost machine: until its Pods run elsewhere, from when it was lost; seconds. */
export const ELSEWHERE_LIMIT = 30;

const ips = (all: readonly { readonly ip: string }[]) => all.map((one) => one.ip);

/** Nobody of `from` reaches anybody of `to`, nor back; without `to`: they reach nobody at all. */
export async function cut(
  m: Machines,
  from: readonly { readonly ip: string }[],
  to?: readonly { readonly ip: string }[],
): Promise<() => Promise<unknown>> {
  await m.hosts.switches.cut(0, [{ from: ips(from), ...(to && { to: ips(to) }) }]);
  return () => m.hosts.switches.cut(0, []);
}
