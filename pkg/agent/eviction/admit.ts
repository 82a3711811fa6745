/** Who is still let in while a node is short of something, as the kubelet. Pure. */
import { qosClass } from "../../api/pod.ts";
import type { Pod } from "../facts.ts";
import { isCritical } from "./rank.ts";
import type { Pressure } from "./thresholds.ts";

const MEMORY_TAINT = "node.kubernetes.io/memory-pressure";

export function admitUnderPressure(
  pod: Pod,
  conditions: readonly Pressure[],
): { reason: string; message: string } | undefined {
  if (conditions.length === 0 || isCritical(pod)) return undefined;
  const onlyMemory = conditions.every((c) => c === "MemoryPressure");
  if (onlyMemory && (qosClass(pod) !== "BestEffort" || toleratesMemoryPressure(pod))) return undefined;
  return { reason: "Evicted", message: `The node had condition: [${conditions.join(" ")}]. ` };
}

function toleratesMemoryPressure(pod: Pod): boolean {
  return (pod.spec?.tolerations ?? []).some(
    (t) =>
      (t.effect === undefined || t.effect === "" || t.effect === "NoSchedule") &&
      (t.key === undefined || t.key === "" ? t.operator === "Exists" : t.key === MEMORY_TAINT) &&
      (t.operator === "Exists" || (t.value ?? "") === ""),
  );
}
