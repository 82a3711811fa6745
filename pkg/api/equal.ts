/** Equality and copies of JSON values. */
import { define, has } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";

/** A copy that shares nothing with `value`, and may be changed. Keys whose value is undefined are left out. */
export function deepClone<T>(value: T): Mutable<T> {
  return clone(value) as Mutable<T>;
}

/** What {@link DeepReadonly} makes read-only, writable again. */
export type Mutable<T> = T extends readonly (infer U)[]
  ? Mutable<U>[]
  : T extends object
    ? { -readonly [K in keyof T]: Mutable<T[K]> }
    : T;

function clone(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(clone);
  const copy: Record<string, unknown> = {};
  for (const [k, v] of Object.entries(value)) {
    if (v !== undefined) define(copy, k, clone(v));
  }
  return copy;
}

/** Same JSON value, whatever the order of keys; an absent key equals undefined. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((x, i) => deepEqual(x, b[i]));
  }
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const k of Object.keys(x)) if (!deepEqual(x[k], has(y, k) ? y[k] : undefined)) return false;
  for (const k of Object.keys(y)) if (y[k] !== undefined && !has(x, k)) return false;
  return true;
}

/**
 * Like {@link deepEqual}, but empty and absent are the same at every depth: `{}`, `[]`, `""`, null, 0, false. Clients
 * and their languages differ in which of them they write, and none is a change a user made.
 */
export function semanticEqual(a: unknown, b: unknown): boolean {
  if (isEmpty(a) && isEmpty(b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b)) return false;
    return a.length === b.length && a.every((x, i) => semanticEqual(x, b[i]));
  }
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(x), ...Object.keys(y)])].every((k) => semanticEqual(x[k], y[k]));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.values(value).every(isEmpty);
}

/** Where two values differ, as field paths; at most `limit`. For messages: `spec.containers[0].command`. */
export function differences(a: unknown, b: unknown, path: string, limit = 5): string[] {
  if (semanticEqual(a, b)) return [];
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return [path];
  const found: string[] = [];
  const list = Array.isArray(a) && Array.isArray(b);
  if (list && a.length !== b.length) return [path];
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const k of new Set([...Object.keys(x), ...Object.keys(y)])) {
    found.push(...differences(x[k], y[k], list ? `${path}[${k}]` : `${path}.${k}`, limit));
    if (found.length >= limit) break;
  }
  return found.slice(0, limit);
}

/** The part of `old` a write may not change, put back: `keep(next, old, "status")`. */
export function keep<T extends object>(next: T, old: DeepReadonly<T>, field: keyof T & string): void {
  const value = (old as T)[field];
  if (value === undefined) delete next[field];
  else next[field] = clone(value) as T[typeof field];
}
