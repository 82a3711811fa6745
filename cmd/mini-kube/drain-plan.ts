/** Which Pods of a node can be moved away, in kubectl's rules. Pure. */
import type { Pod } from "../../pkg/api/generated/types.ts";
import { nameOf, namespaceOf } from "../../pkg/api/object.ts";
import { MIRROR_ANNOTATION } from "../../pkg/api/pod-references.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";

type Seen = DeepReadonly<Pod>;

export interface DrainPlan {
  readonly evict: readonly Seen[];
  /** They belong to the node, and go with it. */
  readonly stay: readonly Seen[];
  /** Why it cannot be done, in kubectl's words; undefined: it can. */
  readonly refused: string | undefined;
}

export interface DrainFlags {
  readonly force: boolean;
  readonly deleteEmptydirData: boolean;
}

const controllerOf = (pod: Seen) => pod.metadata.ownerReferences?.find((o) => o.controller);
const ended = (pod: Seen) => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
const isMirror = (pod: Seen) => pod.metadata.annotations?.[MIRROR_ANNOTATION] !== undefined;
const hasLocalData = (pod: Seen) => (pod.spec?.volumes ?? []).some((v) => v.emptyDir !== undefined);
const named = (pods: readonly Seen[]) => pods.map((p) => `${namespaceOf(p)}/${nameOf(p)}`).join(", ");

export function planDrain(pods: readonly Seen[], o: DrainFlags): DrainPlan {
  const stays = (pod: Seen) => isMirror(pod) || (controllerOf(pod)?.kind === "DaemonSet" && !ended(pod));
  const evict = pods.filter((p) => !stays(p));
  const lost = evict.filter((p) => !controllerOf(p) && !ended(p));
  const local = evict.filter((p) => hasLocalData(p) && !ended(p));
  const reasons = [
    ...(o.force || lost.length === 0
      ? []
      : [`cannot delete Pods that declare no controller (use --force to override): ${named(lost)}`]),
    ...(o.deleteEmptydirData || local.length === 0
      ? []
      : [`cannot delete Pods with local storage (use --delete-emptydir-data to override): ${named(local)}`]),
  ];
  return { evict, stay: pods.filter(stays), refused: reasons.length > 0 ? reasons.join("\n") : undefined };
}
