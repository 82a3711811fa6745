/** A short name for a template: equal JSON has an equal hash, on every machine and for ever. Pure. */

/** Without vowels and look-alikes: no hash spells a word. As Kubernetes' `rand.SafeEncodeString`. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** `collisions`: how often a name made of this hash was taken by something else; undefined hashes as never. */
export function hashOf(value: unknown, collisions?: number): string {
  const text = JSON.stringify(sorted(value)) + (collisions ? String(collisions) : "");
  return Array.from(String(fnv1a(text)), (c) => ALPHABET[c.charCodeAt(0) % ALPHABET.length]).join("");
}

/** The same JSON with the keys of every object in order, as Go writes maps; `undefined` is left out. */
export function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]));
}

/** 32 bits, over UTF-8. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
