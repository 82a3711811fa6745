/** The phrases of which Kubernetes' messages about Pod security are made. */
import type { AnyContainer } from "./pod-shape.ts";

export function plural(one: string, many: string, n: number): string {
  return n === 1 ? one : many;
}

export function quoted(items: readonly string[]): string {
  return items.map((i) => `"${i}"`).join(", ");
}

/** Each once, in order. */
export function sorted(items: Iterable<string>): string[] {
  return [...new Set(items)].sort();
}

/** `container "a"`, `containers "a", "b"` */
export function containers(bad: readonly AnyContainer[]): string {
  return `${plural("container", "containers", bad.length)} ${quoted(bad.map((c) => c.name))}`;
}

/** `pod and container "a"`: who sets it so. */
export function setters(pod: boolean, bad: readonly AnyContainer[]): string {
  return [...(pod ? ["pod"] : []), ...(bad.length ? [containers(bad)] : [])].join(" and ");
}
