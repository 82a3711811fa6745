/** Parts of a status: conditions set, kept and taken away without needless changes; counts. Pure. */
import { rfc3339 } from "../../util/clock.ts";

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

/** The list with this condition in it; its transition time moves only with its status. The order stays. */
export function withCondition<C extends Condition>(list: readonly C[] | undefined, next: C, now: number): readonly C[] {
  const old = list?.find((c) => c.type === next.type);
  const lastTransitionTime = old?.status === next.status ? old.lastTransitionTime : undefined;
  const entry = { ...next, lastTransitionTime: lastTransitionTime ?? rfc3339(now) };
  if (!old) return [...(list ?? []), entry];
  return (list ?? []).map((c) => (c === old ? entry : c));
}

export function withoutCondition<C extends Condition>(list: readonly C[] | undefined, type: string): readonly C[] {
  return (list ?? []).filter((c) => c.type !== type);
}

/** Counts as Kubernetes writes them: a zero is left out. */
export function nonZero<K extends string>(counts: Readonly<Record<K, number>>): Partial<Record<K, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([, n]) => n !== 0)) as Partial<Record<K, number>>;
}
