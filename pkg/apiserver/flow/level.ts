/** One priority level: who runs, who waits. */
import type { PriorityLevelConfiguration } from "../../api/generated/types.ts";
import { uidOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { FairQueues, type QueueShape, type Ticket } from "./fair-queues.ts";
import type { LevelLimits, Seated } from "./seats.ts";

export interface Waiting {
  readonly names: { readonly flow_schema: string; readonly priority_level: string };
  /** Its turn has come. */
  start(): void;
}

/** It takes none of the seats. */
const UNLIMITED: LevelLimits = { nominal: 0, kept: 0, most: 0 };

export class Level implements Seated {
  readonly name: string;
  uid = "";
  exempt = false;
  /** There is no such object any more. */
  gone = false;
  limits: LevelLimits = { nominal: 1, kept: 1, most: 1 };
  used = 0;
  /** Requests, however many seats they have. */
  running = 0;
  /** Undefined: nobody waits here. */
  queues: FairQueues<Waiting> | undefined;
  #shape: QueueShape | undefined;
  /** Of those who waited and run now: how to end them. */
  readonly ends = new Map<Ticket<Waiting>, () => void>();
  /** In which queues a ticket is: they may be made anew while it runs. */
  readonly #of = new WeakMap<Ticket<Waiting>, FairQueues<Waiting>>();

  constructor(name: string) {
    this.name = name;
  }

  get waiting(): number {
    return this.queues?.length ?? 0;
  }

  get idle(): boolean {
    return this.waiting + this.running === 0;
  }

  configure({ metadata, spec }: DeepReadonly<PriorityLevelConfiguration>, limits: LevelLimits): void {
    this.uid = uidOf({ metadata });
    this.exempt = spec?.type === "Exempt";
    this.limits = this.exempt ? UNLIMITED : limits;
    const queuing = spec?.limited?.limitResponse?.queuing;
    const { queues = 64, handSize = 8, queueLengthLimit = 50 } = queuing ?? {};
    this.#shape = queuing && { queues, handSize, queueLengthLimit };
    this.#reshape();
  }

  /** Those who wait in queues of another shape wait on in them, and those who come meanwhile, until all have gone. */
  #reshape(): void {
    if (this.waiting > 0 || same(this.queues?.shape, this.#shape)) return;
    this.queues = this.#shape && new FairQueues(this.#shape);
  }

  /** Undefined: there is no room. */
  add(ticket: Ticket<Waiting>): Ticket<Waiting> | undefined {
    this.#reshape();
    const added = this.queues?.add(ticket);
    if (added && this.queues) this.#of.set(added, this.queues);
    return added;
  }

  next(): Ticket<Waiting> | undefined {
    return this.queues?.next();
  }

  start(ticket: Ticket<Waiting>): void {
    this.#of.get(ticket)?.start(ticket);
  }

  end(ticket: Ticket<Waiting>, seconds: number): void {
    this.#of.get(ticket)?.end(ticket, seconds);
  }

  /** False: it waited no more. */
  giveUp(ticket: Ticket<Waiting>): boolean {
    return this.#of.get(ticket)?.remove(ticket) ?? false;
  }
}

function same(a: QueueShape | undefined, b: QueueShape | undefined): boolean {
  return a?.queues === b?.queues && a?.handSize === b?.handSize && a?.queueLengthLimit === b?.queueLengthLimit;
}
