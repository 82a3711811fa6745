/** What a Deployment notes on its ReplicaSets, for itself and for `kubectl rollout`. Pure. */
import { SEEN } from "../configrollout/plan.ts";
import type { ReadonlyDeployment, ReadonlyReplicaSet } from "./family.ts";

type Annotations = Readonly<Record<string, string>>;

/** A counter of roll-outs; on the Deployment that of its newest ReplicaSet. */
export const REVISION = "deployment.kubernetes.io/revision";
/** The revisions that a ReplicaSet had before it was rolled back to. */
export const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
/** `spec.replicas` of the Deployment when it last sized this ReplicaSet: another one now means it was scaled. */
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
/** The same plus the surge: what the ReplicaSet's own size is a share of. */
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";

const NOT_COPIED: ReadonlySet<string> = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  "deprecated.deployment.rollback.to",
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  // About the present, not about a revision: an undo would bring it back, and with it the change it has noted.
  SEEN,
]);

/** About a hundred revisions; the oldest are forgotten first. */
const MAX_HISTORY_LENGTH = 2_000;

/** Zero: none that can be read. */
export function revisionOf(o: ReadonlyReplicaSet | ReadonlyDeployment | undefined): number {
  return numberIn(o?.metadata.annotations, REVISION) ?? 0;
}

export function numberIn(annotations: Annotations | undefined, key: string): number | undefined {
  const text = annotations?.[key];
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/**
 * Those of the newest ReplicaSet: the Deployment's own (`kubernetes.io/change-cause` among them), and its revision, which
 * only grows. One that is rolled back to remembers the revisions that it had.
 */
export function newestAnnotations(d: ReadonlyDeployment, current: Annotations | undefined, revision: number) {
  const next: Record<string, string> = { ...current };
  for (const [key, value] of Object.entries(d.metadata.annotations ?? {})) {
    if (!NOT_COPIED.has(key)) next[key] = value;
  }
  const old = current?.[REVISION];
  if (old !== undefined && !/^\d+$/.test(old)) return next;
  if (Number(old ?? 0) >= revision) return next;
  next[REVISION] = String(revision);
  if (old !== undefined) next[REVISION_HISTORY] = historyWith(current?.[REVISION_HISTORY], old);
  return next;
}

function historyWith(history: string | undefined, revision: string): string {
  const all = history ? [...history.split(","), revision] : [revision];
  while (all.length > 1 && all.join(",").length > MAX_HISTORY_LENGTH) all.shift();
  return all.join(",");
}

export function sizeAnnotations(desired: number, maxSurge: number): Annotations {
  return { [DESIRED_REPLICAS]: String(desired), [MAX_REPLICAS]: String(desired + maxSurge) };
}
