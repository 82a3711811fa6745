/**
 * API priority and fairness: each request falls under a FlowSchema, takes seats of that schema's priority level, and waits
 * in one of the level's queues while there are none, so that nobody's load keeps others from being served.
 *
 *  P1  Seats that were taken are given back exactly once, however a request ends.
 *  P2  Nobody waits longer than {@link WAIT_MS}, nor beyond the limits of its queue: then it is told to come again.
 *  P3  A level that has nothing waiting costs a request a look at the schemas and no wait.
 */
import type { FlowSchema, PriorityLevelConfiguration } from "../../api/generated/types.ts";
import { flowSchemas } from "../../api/kinds/flowcontrol/flowschema.ts";
import { priorityLevelConfigurations } from "../../api/kinds/flowcontrol/prioritylevelconfiguration.ts";
import { nameOf, uidOf } from "../../api/object.ts";
import type { Attributes, User } from "../../api/rbac/attributes.ts";
import { ApiError } from "../../api/status.ts";
import type { Clock } from "../../util/clock.ts";
import type { Metrics } from "../../util/metrics.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterView } from "../admission.ts";
import { defaultSchemas, MANDATORY, priorityLevels } from "./defaults.ts";
import { hashOf, type Ticket } from "./fair-queues.ts";
import { FlowMetrics, type Refusal } from "./flow-metrics.ts";
import { Level, type Waiting } from "./level.ts";
import { byPrecedence, flowOf, isFor, matchesSchema } from "./match.ts";
import { limitsOf, seatsFor } from "./seats.ts";

/** One thread does the work: more at once would only make each of them wait longer, and hold more memory. */
const SEATS = 100;
export const WAIT_MS = 15_000;

type Schema = DeepReadonly<FlowSchema>;

export interface FlowControlOptions {
  readonly view: Pick<ClusterView, "list" | "changedAt">;
  readonly clock: Clock;
  /** Default 100. */
  readonly seats?: number | undefined;
  /** Levels or schemas are others now. */
  readonly changed?: () => void;
}

/** A request's place. */
export interface Turn {
  /** Of the schema and the level, as clients are told. */
  readonly schemaUid: string;
  readonly levelUid: string;
  /** Resolves when it may go on, rejects with TooManyRequests; undefined: it may at once. */
  readonly ready: Promise<void> | undefined;
  /** It has been answered, or will not be. To be called in any case; more than once is once. */
  leave(): void;
}

export class FlowControl {
  readonly #o: FlowControlOptions;
  readonly #seats: number;
  readonly #levels = new Map<string, Level>();
  readonly #metrics: FlowMetrics;
  #schemas: readonly Schema[] = [];
  /** Which of them may match a user's requests: of a connection with a certificate it is always the same user. */
  #ofUser = new WeakMap<User, readonly Schema[]>();
  #madeAt = -1n;

  constructor(o: FlowControlOptions) {
    this.#o = o;
    this.#seats = o.seats ?? SEATS;
    this.#metrics = new FlowMetrics(() => this.#levels.values());
  }

  metrics(m: Metrics): void {
    this.#configure();
    this.#metrics.on(m);
  }

  /** `width`: the seats it needs, see width.ts. */
  enter(a: Attributes, width: () => number): Turn {
    this.#configure();
    const schema = this.#schemaOf(a);
    const level = this.#levelOf(schema);
    const names = { flow_schema: nameOf(schema), priority_level: level.name };
    const uids = { schemaUid: uidOf(schema), levelUid: level.uid };
    if (level.exempt) {
      this.#metrics.started(names, 0);
      level.running += 1;
      return { ...uids, ready: undefined, leave: once(() => (level.running -= 1)) };
    }
    const seats = level.waiting > 0 ? 0 : seatsFor(level, width(), this.#levels.values(), this.#seats);
    if (seats > 0) {
      this.#metrics.started(names, 0);
      return { ...uids, ready: undefined, leave: once(this.#take(level, seats)) };
    }
    return {
      ...uids,
      ...this.#wait(level, { names, hash: hashOf(`${names.flow_schema}\0${flowOf(schema, a)}`), width }),
    };
  }

  #take(level: Level, seats: number): () => void {
    level.used += seats;
    level.running += 1;
    return () => {
      level.used -= seats;
      level.running -= 1;
      this.#dispatch();
    };
  }

  #wait(
    level: Level,
    o: { names: Waiting["names"]; hash: number; width: () => number },
  ): Pick<Turn, "ready" | "leave"> {
    const since = this.#o.clock.now();
    let settle: { go: () => void; refuse: (error: ApiError) => void } | undefined;
    const ready = new Promise<void>((go, refuse) => (settle = { go, refuse }));
    // Who has left does not listen.
    ready.catch(() => {});
    const refuse = (reason: Refusal) => {
      this.#metrics.refused(o.names, reason, (this.#o.clock.now() - since) / 1000);
      settle?.refuse(tooManyRequests());
    };
    const waiting: Waiting = {
      names: o.names,
      start: () => {
        late[Symbol.dispose]();
        this.#metrics.started(o.names, (this.#o.clock.now() - since) / 1000);
        settle?.go();
      },
    };
    const ticket = level.add({ item: waiting, hash: o.hash, width: o.width() });
    if (!ticket) {
      refuse(level.queues ? "queue-full" : "concurrency-limit");
      return { ready, leave: () => {} };
    }
    const giveUp = (reason: Refusal) => {
      late[Symbol.dispose]();
      if (!level.giveUp(ticket)) return;
      refuse(reason);
      this.#dispatch(); // a narrower one behind it may fit
    };
    const late = this.#o.clock.after(WAIT_MS, () => giveUp("time-out"));
    return {
      ready,
      leave: once(() => {
        const end = level.ends.get(ticket);
        level.ends.delete(ticket);
        if (end) end();
        else giveUp("cancelled");
      }),
    };
  }

  /** Those that have the least of what is theirs come first. */
  #dispatch(): void {
    for (const level of this.#levels.values()) if (level.gone && level.idle) this.#levels.delete(level.name);
    const waiting = [...this.#levels.values()].filter((l) => l.waiting > 0);
    if (waiting.length === 0) return;
    for (;;) {
      const ready = waiting.flatMap((level) => {
        const ticket = level.next();
        const seats = ticket ? seatsFor(level, ticket.width, this.#levels.values(), this.#seats) : 0;
        return ticket && seats > 0 ? [{ level, ticket, seats }] : [];
      });
      const first = ready.reduce<(typeof ready)[number] | undefined>(
        (a, b) => (a && a.level.used / a.level.limits.nominal <= b.level.used / b.level.limits.nominal ? a : b),
        undefined,
      );
      if (!first) return;
      this.#start(first.level, first.ticket, first.seats);
    }
  }

  #start(level: Level, ticket: Ticket<Waiting>, seats: number): void {
    const began = this.#o.clock.now();
    level.start(ticket);
    const give = this.#take(level, seats);
    level.ends.set(ticket, () => {
      level.end(ticket, (this.#o.clock.now() - began) / 1000);
      give();
    });
    ticket.item.start();
  }

  #schemaOf(a: Attributes): Schema {
    let own = this.#ofUser.get(a.user);
    if (!own) {
      own = this.#schemas.filter((s) => isFor(s, a.user));
      this.#ofUser.set(a.user, own);
    }
    const found = own.find((s) => matchesSchema(s, a)) ?? this.#schemas.at(-1);
    if (!found) throw new Error("there is always the schema catch-all");
    return found;
  }

  #levelOf(schema: Schema): Level {
    const level = this.#levels.get(levelName(schema));
    if (!level) throw new Error(`no level ${levelName(schema)}: schemas without one are left out`);
    return level;
  }

  /** Anew whenever one of the objects has changed. Levels keep who runs and who waits. */
  #configure(): void {
    const { view } = this.#o;
    const [schemasAt, levelsAt] = [view.changedAt(flowSchemas), view.changedAt(priorityLevelConfigurations)];
    const at = schemasAt > levelsAt ? schemasAt : levelsAt;
    if (at === this.#madeAt) return;
    this.#madeAt = at;
    const configs = withMandatory([...view.list(priorityLevelConfigurations)], priorityLevels);
    this.#useLevels(configs);
    const all = withMandatory([...view.list(flowSchemas)], defaultSchemas).toSorted(byPrecedence);
    this.#schemas = all.filter((s) => configs.some((c) => nameOf(c) === levelName(s)));
    this.#ofUser = new WeakMap();
    this.#dispatch();
    this.#o.changed?.();
  }

  #useLevels(configs: readonly DeepReadonly<PriorityLevelConfiguration>[]): void {
    const sharesOf = (c: DeepReadonly<PriorityLevelConfiguration>) =>
      (c.spec?.limited ?? c.spec?.exempt)?.nominalConcurrencyShares ?? 0;
    const sum = configs.reduce((n, c) => n + sharesOf(c), 0);
    for (const c of configs) {
      const level = this.#levels.get(nameOf(c)) ?? new Level(nameOf(c));
      this.#levels.set(level.name, level);
      const { lendablePercent = 0 } = c.spec?.limited ?? {};
      const { borrowingLimitPercent } = c.spec?.limited ?? {};
      level.configure(c, limitsOf({ shares: sharesOf(c), lendablePercent, borrowingLimitPercent }, sum, this.#seats));
    }
    // One that is gone goes on for those who are in it; with the last of them its seats go to others.
    for (const level of this.#levels.values()) level.gone = !configs.some((c) => nameOf(c) === level.name);
  }
}

const levelName = (s: Schema) => s.spec?.priorityLevelConfiguration.name ?? "";

/** Whatever their objects say, or if there are none: the mandatory ones are as they must be. */
function withMandatory<T extends Schema | DeepReadonly<PriorityLevelConfiguration>>(
  objects: readonly T[],
  defaults: readonly T[],
): readonly T[] {
  const mandatory = defaults.filter((d) => MANDATORY.includes(nameOf(d)));
  const fixed = mandatory.map((d) => {
    const object = objects.find((o) => nameOf(o) === nameOf(d));
    return object ? { ...object, spec: d.spec } : d;
  });
  return [...objects.filter((o) => !MANDATORY.includes(nameOf(o))), ...fixed];
}

/** In the words of Kubernetes; clients wait as long as they are told. */
function tooManyRequests(): ApiError {
  return new ApiError("TooManyRequests", "Too many requests, please try again later.", { retryAfterSeconds: 1 });
}

function once(fn: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    fn();
  };
}
