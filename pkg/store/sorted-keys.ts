const CHUNK = 512;

/**
 * A set of strings in byte order. Chunks of a sorted array keep insertion cheap (one short splice) and a range scan as
 * fast as walking an array; a balanced tree would give no more here.
 */
export class SortedKeys {
  /** Never holds an empty chunk. */
  #chunks: string[][] = [];

  add(key: string): void {
    const c = Math.min(this.#chunkOf(key), this.#chunks.length - 1);
    const chunk = this.#chunks[c];
    if (!chunk) {
      this.#chunks.push([key]);
      return;
    }
    const i = lowerBound(chunk, key);
    if (chunk[i] === key) return;
    chunk.splice(i, 0, key);
    if (chunk.length > CHUNK) this.#chunks.splice(c + 1, 0, chunk.splice(CHUNK / 2));
  }

  delete(key: string): void {
    const c = this.#chunkOf(key);
    const chunk = this.#chunks[c];
    if (!chunk) return;
    const i = lowerBound(chunk, key);
    if (chunk[i] !== key) return;
    chunk.splice(i, 1);
    if (chunk.length === 0) this.#chunks.splice(c, 1);
  }

  /** Keys ≥ `start` in byte order. Must not be changed while it is walked. */
  *from(start: string): Generator<string, void, void> {
    let c = this.#chunkOf(start);
    let i = lowerBound(this.#chunks[c] ?? [], start);
    for (let chunk = this.#chunks[c]; chunk; chunk = this.#chunks[++c], i = 0) {
      for (; i < chunk.length; i++) yield chunk[i] as string;
    }
  }

  /** The first chunk whose last key is ≥ `key`; the number of chunks if there is none. */
  #chunkOf(key: string): number {
    let lo = 0;
    let hi = this.#chunks.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      const last = this.#chunks[mid]?.at(-1) ?? "";
      if (compareKeys(last, key) < 0) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }
}

function lowerBound(keys: readonly string[], key: string): number {
  let lo = 0;
  let hi = keys.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (compareKeys(keys[mid] ?? "", key) < 0) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/**
 * The order of the keys' UTF-8 bytes, which is etcd's. JavaScript's `<` compares UTF-16 units and differs where a
 * surrogate (a character beyond U+FFFF) meets U+E000–U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
