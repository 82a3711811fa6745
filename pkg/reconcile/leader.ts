/** Leader election: of several replicas of a component, one acts. */
import type { Lease, LeaseSpec } from "../api/generated/types.ts";
import { leases } from "../api/kinds/coordination/lease.ts";
import { isReason } from "../api/status.ts";
import type { Client, ResourceClient } from "../client/client.ts";
import { type Clock, type Random, rfc3339Micro } from "../util/clock.ts";
import { settledWithin } from "../util/limit.ts";
import type { Logger } from "../util/log.ts";
import type { Metrics } from "../util/metrics.ts";
import type { DeepReadonly } from "../util/types.ts";
import { onAbort } from "./controller.ts";
import { leaderStatus } from "./metrics.ts";

export interface LeaderOptions {
  readonly client: Client;
  /** The object they vie for: `{ namespace: "kube-system", name: "kube-scheduler" }`. */
  readonly lease: { readonly namespace: string; readonly name: string };
  /** Of this replica, and of this run of it: two that call themselves the same are taken for one. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** How long the others wait after the last sign of life before one takes over. Whole seconds. Default 3 s. */
  readonly leaseMs?: number;
  /** A leader that could not renew for this long stops. What remains of `leaseMs` is its time to stop in. Default 2 s. */
  readonly renewMs?: number;
  /** Between two tries. Default 0.5 s. */
  readonly retryMs?: number;
  /** Tells who leads. */
  readonly metrics?: Metrics | undefined;
}

type Options = LeaderOptions & typeof DEFAULTS;

const DEFAULTS = { leaseMs: 3_000, renewMs: 2_000, retryMs: 500 };
/** Those who wait do not all ask at the same moment. */
const JITTER = 0.2;

/**
 * Runs `lead` while this replica is the leader, and again whenever it becomes it; ends when the signal aborts, or as
 * `lead` ends by itself. The Lease is read and written as client-go's leader election does it, so both can vie for one.
 *
 *  E1  At most one leads. `lead`'s signal aborts when the lease could not be renewed for `renewMs`, which is
 *      `leaseMs - renewMs` before another may take it; by then `lead` must have stopped to act.
 *  E2  Clocks of different machines are never compared, and none needs to be right: how long a Lease has stood still is
 *      measured by a timer, from when it was seen; how long one's own holds, from before it was asked for.
 *  E3  A write counts only if the Lease is as it was read (resourceVersion): of two that take it at once, one does.
 *  E4  Who stops waits for `lead` to end, and only then lets the Lease go: another has it at its next try. After a crash
 *      that is `leaseMs` later.
 */
export async function runAsLeader(
  options: LeaderOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const o: Options = { ...DEFAULTS, ...options };
  if (o.leaseMs <= o.renewMs || o.renewMs <= o.retryMs) {
    throw new Error(`leaseMs ${o.leaseMs} > renewMs ${o.renewMs} > retryMs ${o.retryMs} does not hold`);
  }
  const { lease, identity } = o;
  const log = o.log.child({ lease: `${lease.namespace}/${lease.name}`, identity });
  const leads = leaderStatus(o.metrics, lease.name);
  using candidate = new Candidate({ ...o, log });
  try {
    while (!signal.aborted) {
      using term = await candidate.win(signal);
      if (!term) continue;
      leads(true);
      const ended = await serve(candidate, term, { lead, signal, log }).finally(() => leads(false));
      if (ended) return;
    }
  } finally {
    await candidate.release();
  }
}

/** Leads and renews until both have ended. True when `lead` ended unasked; rejects when it broke. */
async function serve(
  candidate: Candidate,
  term: Term,
  o: { lead: (signal: AbortSignal) => Promise<void>; signal: AbortSignal; log: Logger },
): Promise<boolean> {
  using _parent = onAbort(o.signal, () => term.end(o.signal.reason));
  if (term.signal.aborted) return false;
  const ended = new AbortController();
  o.log.info({}, "leads");
  const leading = o.lead(term.signal).finally(() => ended.abort());
  // Also while it stops: as long as something may still be done in its name, the Lease is held.
  const [result] = await Promise.allSettled([leading, candidate.keep(term, ended.signal)]);
  o.log.info({}, "leads no more");
  if (result.status === "rejected" && !term.signal.aborted) throw result.reason;
  return !term.signal.aborted;
}

/** One time of leading: its signal aborts when the Lease may be another's soon. */
class Term implements Disposable {
  readonly #abort = new AbortController();
  #deadline: Disposable | undefined;

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** It may last until this fires. */
  renewed(deadline: Disposable): void {
    this.#deadline?.[Symbol.dispose]();
    this.#deadline = deadline;
  }

  end(reason: unknown): void {
    this.#abort.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#deadline?.[Symbol.dispose]();
  }
}

/** What one replica knows of the Lease and does to have it. */
class Candidate implements Disposable {
  readonly #o: Options;
  readonly #leases: ResourceClient<Lease>;
  #seen: DeepReadonly<Lease> | undefined;
  /** It has stood still for as long as its holder promised to renew it. */
  #expired = false;
  #expiry: Disposable | undefined;

  constructor(o: Options) {
    this.#o = o;
    this.#leases = o.client.resource(leases, o.lease.namespace);
  }

  [Symbol.dispose](): void {
    this.#expiry?.[Symbol.dispose]();
  }

  /** Tries until it has the Lease; undefined when the signal aborts. */
  async win(signal: AbortSignal): Promise<Term | undefined> {
    while (!signal.aborted) {
      const term = new Term();
      if ((await this.#try(term)) === "held" && !term.signal.aborted) return term;
      term[Symbol.dispose]();
      await this.#pause(signal);
    }
    return undefined;
  }

  /** Renews until `done`, or until another has it. */
  async keep(term: Term, done: AbortSignal): Promise<void> {
    for (let last = "held"; !done.aborted && last !== "taken";) {
      await this.#pause(done);
      if (!done.aborted) last = await this.#try(term);
      if (last === "taken") term.end(new Error("another replica leads"));
    }
  }

  /** Lets go what it has, so that nobody has to wait for its end. */
  async release(): Promise<void> {
    if (this.#seen?.spec?.holderIdentity !== this.#o.identity) return;
    const { holderIdentity: _, ...spec } = this.#seen.spec;
    const now = rfc3339Micro(this.#o.clock.now());
    const free = { ...spec, leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
    await this.#limited(this.#leases.update({ ...this.#seen, spec: free })).catch((error: unknown) => {
      this.#o.log.debug({ err: error }, "lease not released, it expires");
    });
  }

  /** Never rejects. "failed": nobody knows who has it now. */
  async #try(term: Term): Promise<"held" | "taken" | "failed"> {
    // From before it is asked for: whatever becomes of the request, becomes of it later.
    const deadline = this.#o.clock.after(this.#o.renewMs, () =>
      term.end(new Error("the lease was not renewed in time")),
    );
    let result: "held" | "taken" | "failed" = "failed";
    try {
      result = (await this.#limited(this.#takeOrRenew())) ? "held" : "taken";
    } catch (error) {
      this.#o.log.debug({ err: error }, "lease not written, will retry");
      // Somebody else wrote it, or a write of our own came late: the next try reads it first.
      if (isReason(error, "Conflict", "NotFound", "AlreadyExists")) this.#seen = undefined;
    }
    if (result === "held") term.renewed(deadline);
    else deadline[Symbol.dispose]();
    return result;
  }

  /** False: another has it. */
  async #takeOrRenew(): Promise<boolean> {
    const { identity, lease, leaseMs, clock } = this.#o;
    // A leader knows its Lease; only who waits must look.
    if (this.#seen?.spec?.holderIdentity !== identity) await this.#look();
    const spec = nextSpec(this.#seen?.spec, { identity, leaseMs, now: clock.now(), expired: this.#expired });
    if (!spec) return false;
    const written = this.#seen
      ? await this.#leases.update({ ...this.#seen, spec })
      : await this.#leases.create({ metadata: { ...lease }, spec });
    this.#seen = written;
    return true;
  }

  async #look(): Promise<void> {
    const { name } = this.#o.lease;
    const found = await this.#leases.get(name).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
    const same = found && found.metadata.resourceVersion === this.#seen?.metadata.resourceVersion;
    this.#seen = found;
    if (same) return;
    this.#expired = false;
    this.#expiry?.[Symbol.dispose]();
    const seconds = found?.spec?.leaseDurationSeconds;
    const ms = seconds === undefined ? this.#o.leaseMs : seconds * 1000;
    this.#expiry = found && this.#o.clock.after(ms, () => (this.#expired = true));
  }

  /** A call that hangs must not keep from trying again; what it may still do is found at the next look. */
  #limited<T>(call: Promise<T>): Promise<T> {
    return settledWithin(this.#o.clock, this.#o.renewMs, "lease", call);
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, random, retryMs } = this.#o;
    await clock.sleep(retryMs * (1 + JITTER * random()), signal).catch(() => {}); // an abort; the loop sees it
  }
}

/**
 * The Lease as it is to be written: taken if it is free (never held, let go, expired), renewed if it is one's own.
 * Undefined: another has it. Pure.
 */
export function nextSpec(
  old: DeepReadonly<LeaseSpec> | undefined,
  o: { identity: string; leaseMs: number; now: number; expired: boolean },
): LeaseSpec | undefined {
  const renewTime = rfc3339Micro(o.now);
  const next = { holderIdentity: o.identity, leaseDurationSeconds: Math.ceil(o.leaseMs / 1000), renewTime };
  if (!old) return { ...next, acquireTime: renewTime, leaseTransitions: 0 };
  if (old.holderIdentity === o.identity) return { ...(old as LeaseSpec), ...next };
  if (old.holderIdentity && !o.expired) return undefined;
  return { ...next, acquireTime: renewTime, leaseTransitions: (old.leaseTransitions ?? 0) + 1 };
}
