/** The versions that are kept of a template: which of them is meant now, and which are too many. Pure. */
import { deepEqual } from "../../api/equal.ts";
import type { ControllerRevision, PodTemplateSpec } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { sorted } from "../workload/hash.ts";

export type Revision = DeepReadonly<ControllerRevision>;

interface Snapshot {
  readonly spec?: { readonly template?: DeepReadonly<PodTemplateSpec> & { readonly $patch?: string } };
}

/**
 * The patch that brings an owner back to this template, in Kubernetes' form: `kubectl rollout undo` sends it as it stands,
 * and compares its bytes, so its keys are in order.
 */
export function snapshotOf(template: DeepReadonly<PodTemplateSpec>): unknown {
  return sorted({ spec: { template: { ...template, $patch: "replace" } } });
}

/** What {@link snapshotOf} was made of. */
export function templateOf(revision: Revision): DeepReadonly<PodTemplateSpec> {
  const { $patch: _, ...template } = (revision.data as Snapshot | undefined)?.spec?.template ?? {};
  return template;
}

/** Oldest first. */
export function inOrder(revisions: readonly Revision[]): readonly Revision[] {
  return revisions.toSorted((a, b) => a.revision - b.revision || (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** What is to be done so that the newest revision is the one that holds `data`. */
export type RevisionPlan =
  | { readonly do: "use"; readonly revision: Revision }
  /** It was there before: it moves to the end, and is not written twice. */
  | { readonly do: "renumber"; readonly revision: Revision; readonly to: number }
  | { readonly do: "create"; readonly to: number };

export function planRevision(data: unknown, revisions: readonly Revision[]): RevisionPlan {
  const all = inOrder(revisions);
  const latest = all.at(-1);
  const equal = all.findLast((r) => deepEqual(r.data, data));
  const to = (latest?.revision ?? 0) + 1;
  if (!equal) return { do: "create", to };
  return equal === latest ? { do: "use", revision: equal } : { do: "renumber", revision: equal, to };
}

/** The oldest of those that nothing is made of any more, beyond `limit` of them. */
export function surplus(
  revisions: readonly Revision[],
  isLive: (revision: Revision) => boolean,
  limit: number,
): readonly Revision[] {
  const past = inOrder(revisions).filter((r) => !isLive(r));
  return limit < 0 ? [] : past.slice(0, Math.max(0, past.length - limit));
}
