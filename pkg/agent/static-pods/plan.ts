/** What the API server is to be told of the static Pods of a node. Pure. */
import { nameOf, namespaceOf } from "../../api/object.ts";
import { MIRROR_ANNOTATION } from "../../api/pod-references.ts";
import type { Pod } from "../facts.ts";

export type MirrorAction =
  | { readonly type: "create"; readonly pod: Pod }
  | { readonly type: "delete"; readonly mirror: Pod; readonly reason: "Gone" | "Changed" | "Deleted" };

export function isMirror(pod: Pod): boolean {
  return pod.metadata.annotations?.[MIRROR_ANNOTATION] !== undefined;
}

export function mirrors(mirror: Pod, pod: Pod): boolean {
  return nameOf(mirror) === nameOf(pod) && namespaceOf(mirror) === namespaceOf(pod);
}

/**
 * A mirror for each static Pod, and no other. One that somebody deletes, or that shows what the file said before, goes at
 * once; its successor is made when it is gone.
 */
export function planMirrors(pods: readonly Pod[], found: readonly Pod[]): readonly MirrorAction[] {
  const gone = found.flatMap((mirror): MirrorAction[] => {
    const pod = pods.find((p) => mirrors(mirror, p));
    if (!pod) return [{ type: "delete", mirror, reason: "Gone" }];
    if (mirror.metadata.annotations?.[MIRROR_ANNOTATION] !== pod.metadata.uid)
      return [{ type: "delete", mirror, reason: "Changed" }];
    return mirror.metadata.deletionTimestamp === undefined ? [] : [{ type: "delete", mirror, reason: "Deleted" }];
  });
  const missing = pods.filter((p) => !found.some((m) => mirrors(m, p)));
  return [...gone, ...missing.map((pod): MirrorAction => ({ type: "create", pod }))];
}
