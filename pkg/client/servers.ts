/** Which of several API servers is asked: one as long as it answers, then the next, round and round. */
export class Servers {
  readonly #all: readonly URL[];
  #at = 0;

  /** At least one; the first is asked first. */
  constructor(all: readonly URL[]) {
    this.#all = all;
  }

  get count(): number {
    return this.#all.length;
  }

  get current(): URL {
    const server = this.#all[this.#at];
    if (!server) throw new Error("there is no server to ask");
    return server;
  }

  /** It did not answer, or cannot serve. Who learns it late, when another is asked already, moves nobody. */
  failed(server: URL): void {
    if (server === this.current) this.#at = (this.#at + 1) % this.#all.length;
  }
}
