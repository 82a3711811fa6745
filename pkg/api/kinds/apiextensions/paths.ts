/** Single fields by name: `.spec.replicas`. */
import { define, own } from "../../../util/keys.ts";

export function stepsOf(path: string): readonly string[] {
  return path.split(".").filter((step) => step !== "");
}

export function readPath(o: unknown, steps: readonly string[]): unknown {
  let at = o;
  for (const step of steps) {
    if (typeof at !== "object" || at === null) return undefined;
    at = own(at as Record<string, unknown>, step);
  }
  return at;
}

/** Makes the objects on the way; what is no object there is replaced. */
export function writePath(o: object, steps: readonly string[], value: unknown): void {
  let at = o as Record<string, unknown>;
  for (const step of steps.slice(0, -1)) {
    const next = own(at, step);
    const inner: Record<string, unknown> =
      typeof next === "object" && next !== null ? (next as Record<string, unknown>) : {};
    define(at, step, inner);
    at = inner;
  }
  const last = steps.at(-1);
  if (last !== undefined) define(at, last, value);
}
