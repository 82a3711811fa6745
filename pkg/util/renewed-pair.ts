import type { KeyPair } from "./pki.ts";

/** A certificate with its key that is replaced while it is in use. Undefined before the first is there. */
export class RenewedPair {
  #pair: KeyPair | undefined;
  readonly #uses = new Set<(pair: KeyPair) => void>();

  constructor(pair?: KeyPair) {
    this.#pair = pair;
  }

  get current(): KeyPair | undefined {
    return this.#pair;
  }

  replace(pair: KeyPair): void {
    this.#pair = pair;
    for (const use of this.#uses) use(pair);
  }

  /** Called with each that takes the place of the current one, until disposed. */
  onChange(use: (pair: KeyPair) => void): Disposable {
    this.#uses.add(use);
    return { [Symbol.dispose]: () => this.#uses.delete(use) };
  }
}
