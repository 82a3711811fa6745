/**
 * The elements of one map or set of the table, to which many Services add. The next version costs a copy and what has
 * changed, and knows by which keys it differs from the last: so nobody compares tens of thousands for the sake of one.
 */
import type { Since } from "../nft/ruleset.ts";

/** Of a Service: who came first has the lower number. */
export type Seniority = number;

interface Claim {
  readonly owner: Seniority;
  readonly value: string;
}

interface Version<E> {
  readonly elements: E;
  readonly since?: Since;
}

export type Entry = readonly [key: string, value: string];

/** Who names a key twice means the first. */
function firstOf(entries: readonly Entry[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of entries) if (!found.has(key)) found.set(key, value);
  return found;
}

abstract class Claims<E extends ReadonlySet<string> | ReadonlyMap<string, string>> {
  /** By seniority: the first has the key, the others wait until it lets go. */
  readonly #claims = new Map<string, readonly Claim[]>();
  readonly #touched = new Set<string>();
  #version: Version<E>;

  constructor(empty: E) {
    this.#version = { elements: empty };
  }

  protected abstract next(last: E, touched: ReadonlySet<string>, valueOf: (key: string) => string | undefined): E;

  /** What the owner had is what it has now, where both are the same. */
  replace(owner: Seniority, before: readonly Entry[], after: readonly Entry[]): void {
    const wanted = firstOf(after);
    for (const [key, value] of firstOf(before)) {
      const now = wanted.get(key);
      if (now === value) wanted.delete(key);
      else if (now === undefined)
        this.#put(
          key,
          this.#of(key).filter((c) => c.owner !== owner),
        );
    }
    for (const [key, value] of wanted) {
      const others = this.#of(key).filter((c) => c.owner !== owner);
      this.#put(
        key,
        [...others, { owner, value }].toSorted((a, b) => a.owner - b.owner),
      );
    }
  }

  /** The same object as long as nothing has changed. */
  version(): Version<E> {
    if (this.#touched.size === 0) return this.#version;
    const { elements: last } = this.#version;
    const changed = new Set(this.#touched);
    this.#touched.clear();
    const elements = this.next(last, changed, (key) => this.#of(key)[0]?.value);
    this.#version = { elements, since: { elements: last, changed } };
    return this.#version;
  }

  #of(key: string): readonly Claim[] {
    return this.#claims.get(key) ?? [];
  }

  #put(key: string, claims: readonly Claim[]): void {
    if (claims.length > 0) this.#claims.set(key, claims);
    else this.#claims.delete(key);
    this.#touched.add(key);
  }
}

export class MapClaims extends Claims<ReadonlyMap<string, string>> {
  constructor() {
    super(new Map());
  }

  protected override next(
    last: ReadonlyMap<string, string>,
    touched: ReadonlySet<string>,
    valueOf: (key: string) => string | undefined,
  ): ReadonlyMap<string, string> {
    const elements = new Map(last);
    for (const key of touched) {
      const value = valueOf(key);
      if (value === undefined) elements.delete(key);
      else elements.set(key, value);
    }
    return elements;
  }
}

export class SetClaims extends Claims<ReadonlySet<string>> {
  constructor() {
    super(new Set());
  }

  protected override next(
    last: ReadonlySet<string>,
    touched: ReadonlySet<string>,
    valueOf: (key: string) => string | undefined,
  ): ReadonlySet<string> {
    const elements = new Set(last);
    for (const key of touched) {
      if (valueOf(key) === undefined) elements.delete(key);
      else elements.add(key);
    }
    return elements;
  }
}
