/**
 * Who is next, when requests of several flows wait: start-time fair queueing over queues that are dealt to flows like
 * hands of cards (shuffle sharding), so that a greedy flow fills its own hand and hardly ever all of another's.
 *
 *  Q1  Of queues that have work, each gets the same part of what is served, whatever the others ask for: their services
 *      differ by no more than the dearest single requests.
 *  Q2  A queue that had nothing to do saves nothing up, and owes nothing.
 *  Q3  No queue is longer than its limit; the requests of one queue keep their order.
 *
 * Service is counted in seat-seconds: guessed when a request starts, corrected when it ends.
 */
export interface QueueShape {
  readonly queues: number;
  /** So many of them are a flow's. */
  readonly handSize: number;
  readonly queueLengthLimit: number;
}

export interface Ticket<T> {
  readonly item: T;
  readonly hash: number;
  readonly width: number;
}

interface Queue<T> {
  readonly waiting: Held<T>[];
  /** What it has been served, so to say; the least goes first. */
  virtual: number;
}

interface Held<T> extends Ticket<T> {
  readonly queue: Queue<T>;
  /** What its queue was charged. */
  charged: number;
}

/** Of the first request, in seconds; later the mean of those before. */
const FIRST_GUESS = 0.01;
/** How much the newest weighs in the mean. */
const NEWEST = 0.1;
/** No hash is long enough to deal a larger hand, whatever an object says that was stored unchecked. */
const LARGEST_HAND = 60;

export class FairQueues<T> {
  readonly shape: QueueShape;
  /** By their number, each from when it first gets something: there may be very many of them. */
  readonly #queues = new Map<number, Queue<T>>();
  /** Those with work: few, mostly. */
  readonly #active = new Set<Queue<T>>();
  #virtual = 0;
  #guess = FIRST_GUESS;
  #length = 0;

  constructor(shape: QueueShape) {
    this.shape = shape;
  }

  get length(): number {
    return this.#length;
  }

  /** In the shortest queue of the flow's hand. Undefined: that is full. */
  add({ hash, width, item }: Ticket<T>): Ticket<T> | undefined {
    let [shortest, length] = [0, Infinity];
    for (const card of handOf(hash, this.shape)) {
      const waiting = this.#queues.get(card)?.waiting.length ?? 0;
      if (waiting < length) [shortest, length] = [card, waiting];
    }
    if (length >= this.shape.queueLengthLimit) return undefined;
    const best = this.#queues.get(shortest) ?? { waiting: [], virtual: 0 };
    this.#queues.set(shortest, best);
    const ticket = { item, hash, width, queue: best, charged: 0 };
    best.waiting.push(ticket);
    this.#length += 1;
    if (best.waiting.length === 1) {
      best.virtual = Math.max(best.virtual, this.#virtual);
      this.#active.add(best);
    }
    return ticket;
  }

  /** Whose turn it is. */
  next(): Ticket<T> | undefined {
    let first: Queue<T> | undefined;
    for (const queue of this.#active) if (!first || queue.virtual < first.virtual) first = queue;
    return first?.waiting[0];
  }

  /** It is served now: for which its queue pays. */
  start(ticket: Ticket<T>): void {
    const held = ticket as Held<T>;
    this.#virtual = Math.max(this.#virtual, held.queue.virtual);
    held.charged = held.width * this.#guess;
    held.queue.virtual += held.charged;
    this.remove(held);
  }

  /** How long it took is known. */
  end(ticket: Ticket<T>, seconds: number): void {
    const held = ticket as Held<T>;
    held.queue.virtual += held.width * seconds - held.charged;
    this.#guess += NEWEST * (seconds - this.#guess);
  }

  /** It waits no more. False: it did not. */
  remove(ticket: Ticket<T>): boolean {
    const { queue } = ticket as Held<T>;
    const at = queue.waiting.indexOf(ticket as Held<T>);
    if (at < 0) return false;
    queue.waiting.splice(at, 1);
    this.#length -= 1;
    if (queue.waiting.length === 0) this.#active.delete(queue);
    return true;
  }
}

/** The queues of a flow: as many as `handSize`, each dealt once. */
export function handOf(hash: number, { queues, handSize }: Pick<QueueShape, "queues" | "handSize">): number[] {
  const hand: number[] = [];
  let rest = hash;
  for (let i = 0; i < Math.min(handSize, queues, LARGEST_HAND); i++) {
    const left = queues - i;
    let card = rest % left;
    rest = Math.floor(rest / left);
    // The card of that number among those that are left: as many further as there are smaller ones dealt.
    for (const dealt of hand.toSorted((a, b) => a - b)) if (card >= dealt) card += 1;
    hand.push(card);
  }
  return hand;
}

/** 53 bits, well mixed. */
export function hashOf(text: string): number {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 2654435761);
    b = Math.imul(b ^ c, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}
