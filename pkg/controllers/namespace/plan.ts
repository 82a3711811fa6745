/** What a namespace that is being deleted still holds, and what follows from that. Pure. */
import { deepEqual } from "../../api/equal.ts";
import type { Namespace, NamespaceCondition } from "../../api/generated/types.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** Of one resource, after everything was asked to go. */
export interface Remaining {
  /** `pods.`, `deployments.apps` */
  readonly resource: string;
  readonly count: number;
  /** Instances per finalizer that holds them. */
  readonly finalizers: Readonly<Record<string, number>>;
}

export interface Contents {
  readonly remaining: readonly Remaining[];
  /** What could not be deleted or looked at. */
  readonly failures: readonly string[];
}

export type NamespaceAction =
  /** Empty: let go of it. */
  | { readonly type: "finalize"; readonly finalizers: readonly string[] }
  /** `conditions` undefined → they already say so. */
  | {
      readonly type: "wait";
      readonly conditions: readonly NamespaceCondition[] | undefined;
      readonly againAfterMs: number;
    };

/** The finalizer in spec.finalizers that is this controller's. */
const FINALIZER = "kubernetes";
const POLL = { minMs: 200, maxMs: 5_000 };

export function planNamespace(ns: DeepReadonly<Namespace>, contents: Contents, now: number): NamespaceAction {
  if (contents.remaining.length === 0 && contents.failures.length === 0) {
    return { type: "finalize", finalizers: (ns.spec?.finalizers ?? []).filter((f) => f !== FINALIZER) };
  }
  const conditions = merge(ns.status?.conditions ?? [], conditionsOf(contents), now);
  const changed = !deepEqual(conditions, ns.status?.conditions);
  // The longer it has taken, the longer it will: a quarter of the time passed so far.
  const passed = now - Date.parse(ns.metadata.deletionTimestamp ?? rfc3339(now));
  const againAfterMs = Math.min(Math.max(passed / 4, POLL.minMs), POLL.maxMs);
  return { type: "wait", conditions: changed ? conditions : undefined, againAfterMs };
}

/** In the words of Kubernetes' namespace controller, which clients print. */
function conditionsOf({ remaining, failures }: Contents): readonly NamespaceCondition[] {
  const held = countFinalizers(remaining);
  const content = remaining.map((r) => `${r.resource} has ${r.count} resource instances`);
  const finalizers = held.map(([name, count]) => `${name} in ${count} resource instances`);
  return [
    no("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    no(
      "NamespaceDeletionGroupVersionParsingFailure",
      "ParsedGroupVersions",
      "All legacy kube types successfully parsed",
    ),
    failures.length > 0
      ? yes(
          "NamespaceDeletionContentFailure",
          "ContentDeletionFailed",
          `Failed to delete all resource types, ${failures.length} remaining: ${failures.join(", ")}`,
        )
      : no(
          "NamespaceDeletionContentFailure",
          "ContentDeleted",
          "All content successfully deleted, may be waiting on finalization",
        ),
    content.length > 0
      ? yes("NamespaceContentRemaining", "SomeResourcesRemain", `Some resources are remaining: ${content.join(", ")}`)
      : no("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    finalizers.length > 0
      ? yes(
          "NamespaceFinalizersRemaining",
          "SomeFinalizersRemain",
          `Some content in the namespace has finalizers remaining: ${finalizers.join(", ")}`,
        )
      : no("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
  ];
}

function countFinalizers(remaining: readonly Remaining[]): readonly (readonly [string, number])[] {
  const sums = new Map<string, number>();
  for (const { finalizers } of remaining) {
    for (const [name, count] of Object.entries(finalizers)) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
}

const yes = (type: string, reason: string, message: string) => ({ type, status: "True", reason, message });
const no = (type: string, reason: string, message: string) => ({ type, status: "False", reason, message });

/** Keeps others' conditions, and the transition time of ours where the status stays. */
function merge(
  old: readonly DeepReadonly<NamespaceCondition>[],
  next: readonly NamespaceCondition[],
  now: number,
): readonly NamespaceCondition[] {
  const ours = next.map((c) => {
    const before = old.find((o) => o.type === c.type);
    const since = before?.status === c.status ? before.lastTransitionTime : undefined;
    return { lastTransitionTime: since ?? rfc3339(now), ...c };
  });
  return [...old.filter((o) => !next.some((c) => c.type === o.type)), ...ours];
}
