/**
 * Keys that a client chose. JavaScript's objects answer to names that nobody has set (`constructor`, `toString`,
 * `__proto__`), and clients call labels, keys of ConfigMaps, nodes and kinds just so. Tables and maps that are asked
 * with a text from outside are therefore asked here, never with brackets.
 */

/** Whether `key` is the object's own, so that a client's `constructor` finds nothing. */
export function has(target: object, key: string): boolean {
  return Object.hasOwn(target, key);
}

/** The value of the object's own key, undefined where there is none. */
export function own<V>(map: Readonly<Record<string, V>> | undefined, key: string): V | undefined {
  return map && Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Plain assignment would set the prototype where a client's key is `__proto__`. */
export function define(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}
