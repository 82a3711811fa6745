/** Values from a callback to one `for await`; tells its source when to pause. */
export class StreamQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  readonly #sizeOf: (item: T) => number;
  readonly #limit: number;
  readonly #onFull: (full: boolean) => void;
  #size = 0;
  #ended = false;
  #wake: () => void = () => {};

  /** `onFull(true)` when more than `limit` waits, `onFull(false)` when all of it was taken. */
  constructor(o: { limit: number; sizeOf: (item: T) => number; onFull: (full: boolean) => void }) {
    this.#limit = o.limit;
    this.#sizeOf = o.sizeOf;
    this.#onFull = o.onFull;
  }

  push(item: T): void {
    if (this.#ended) return;
    const before = this.#size;
    this.#items.push(item);
    this.#size += this.#sizeOf(item);
    if (before <= this.#limit && this.#size > this.#limit) this.#onFull(true);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        const before = this.#size;
        this.#size -= this.#sizeOf(item);
        if (before > this.#limit && this.#size <= this.#limit) this.#onFull(false);
        yield item;
      } else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
