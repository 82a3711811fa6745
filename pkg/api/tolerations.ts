/** Which taints keep a Pod away. Pure. */
import type { DeepReadonly } from "../util/types.ts";
import type { Taint, Toleration } from "./generated/types.ts";

type Tolerations = readonly DeepReadonly<Toleration>[];

/** Whether one toleration covers a taint. An empty key with Exists covers all; an empty effect, all effects. */
export function tolerates(t: DeepReadonly<Toleration>, taint: DeepReadonly<Taint>): boolean {
  if (t.effect && t.effect !== taint.effect) return false;
  if (t.key && t.key !== taint.key) return false;
  const value = taint.value ?? "";
  switch (t.operator) {
    case "Exists":
      return true;
    case undefined:
    case "":
    case "Equal":
      return Boolean(t.key) && (t.value ?? "") === value;
    case "Gt":
      return isInteger(value) && isInteger(t.value) && BigInt(value) > BigInt(t.value ?? "");
    case "Lt":
      return isInteger(value) && isInteger(t.value) && BigInt(value) < BigInt(t.value ?? "");
    default:
      return false;
  }
}

function isInteger(text: string | undefined): boolean {
  return text !== undefined && /^-?\d+$/.test(text);
}

export function toleratesAny(tolerations: Tolerations | undefined, taint: DeepReadonly<Taint>): boolean {
  return tolerations?.some((t) => tolerates(t, taint)) ?? false;
}
