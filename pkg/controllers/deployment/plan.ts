/** What a Deployment does with its ReplicaSets next. Pure. */
import { deepClone } from "../../api/equal.ts";
import type { ReplicaSet } from "../../api/generated/types.ts";
import { deployments } from "../../api/kinds/apps/deployment.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { hashOf } from "../workload/hash.ts";
import { ownerReference } from "../workload/pods.ts";
import { canonicalTemplate, POD_TEMPLATE_HASH } from "../workload/template.ts";
import {
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  newestAnnotations,
  numberIn,
  revisionOf,
  sizeAnnotations,
} from "./annotations.ts";
import {
  desiredOf,
  type Family,
  familyOf,
  isComplete,
  isObserved,
  isRecreate,
  type Mode,
  type ReadonlyDeployment,
  type ReadonlyReplicaSet,
  replicasOf,
} from "./family.ts";
import { limitsOf, rollingSizes, scaledSizes, type Size, type Sizes } from "./sizes.ts";

/** A ReplicaSet and what is to become of it. */
export interface Change {
  readonly replicaSet: ReadonlyReplicaSet;
  readonly replicas: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly minReadySeconds: number;
}

/** In this order: what is created first counts as there. */
export interface DeploymentPlan {
  readonly mode: Mode;
  readonly create?: ReplicaSet;
  readonly change: readonly Change[];
  readonly delete: readonly ReadonlyReplicaSet[];
}

export function planDeployment(d: ReadonlyDeployment, owned: readonly ReadonlyReplicaSet[]): DeploymentPlan {
  const family = familyOf(d, owned);
  const mode = modeOf(d, family);
  if (mode === "leaving") return { mode, change: [], delete: [] };
  const rolling = mode === "rollout";
  const create = rolling && !family.next && mayCreate(d, family) ? newReplicaSet(d, family) : undefined;
  const sizes = sizesOf(d, mode, create ? { ...family, next: create } : family);
  if (create?.spec) create.spec.replicas = sizes.get(nameOf(create)) ?? 0;
  const cleans = rolling ? isComplete(d, d.status) : mode === "paused";
  return {
    mode,
    ...(create && { create }),
    change: changesOf(d, family, sizes),
    delete: cleans ? forgotten(d, family.olds) : [],
  };
}

function modeOf(d: ReadonlyDeployment, { next, olds }: Family): Mode {
  if (d.metadata.deletionTimestamp !== undefined) return "leaving";
  if (d.spec?.paused) return "paused";
  const active = [...olds, ...(next ? [next] : [])].filter((rs) => replicasOf(rs) > 0);
  // What must all go keeps no proportions.
  if (isRecreate(d) && active.length > 1) return "rollout";
  const noted = active.map((rs) => numberIn(rs.metadata.annotations, DESIRED_REPLICAS));
  return noted.some((n) => n !== undefined && n !== desiredOf(d)) ? "scaled" : "rollout";
}

function sizesOf(d: ReadonlyDeployment, mode: Mode, { next, olds }: Family): Sizes {
  const limits = limitsOf(desiredOf(d), d.spec?.strategy);
  const [size, sizes] = [next && sizeOf(next), olds.map(sizeOf)];
  if (mode === "rollout") {
    if (isRecreate(d)) return recreated(limits.desired, next, olds);
    return size ? rollingSizes(limits, size, sizes) : new Map();
  }
  const active = [...sizes, ...(size ? [size] : [])].filter((s) => s.replicas > 0);
  if (isRecreate(d) && active.length > 1) return new Map();
  return scaledSizes(limits, size, sizes, d.status?.replicas ?? 0);
}

/** The old go altogether, and only when none of their Pods is left do the new ones come. */
function recreated(desired: number, next: ReadonlyReplicaSet | undefined, olds: readonly ReadonlyReplicaSet[]): Sizes {
  const sizes = new Map(olds.map((rs) => [nameOf(rs), 0]));
  if (next && olds.every(isQuiet)) sizes.set(nameOf(next), desired);
  return sizes;
}

const mayCreate = (d: ReadonlyDeployment, { olds }: Family) => !isRecreate(d) || olds.every(isQuiet);

/** It has no Pods, not even leaving ones, and will make none. */
function isQuiet(rs: ReadonlyReplicaSet): boolean {
  const { replicas = 0, terminatingReplicas = 0 } = rs.status ?? {};
  return isObserved(rs) && replicasOf(rs) === 0 && replicas === 0 && terminatingReplicas === 0;
}

function changesOf(d: ReadonlyDeployment, family: Family, sizes: Sizes): readonly Change[] {
  const { desired, maxSurge } = limitsOf(desiredOf(d), d.spec?.strategy);
  const all = [...(family.next ? [family.next] : []), ...family.olds];
  return all.flatMap((replicaSet) => {
    const isNext = replicaSet === family.next;
    const size = sizes.get(nameOf(replicaSet));
    const replicas = size ?? replicasOf(replicaSet);
    const current = replicaSet.metadata.annotations ?? {};
    const base = isNext ? newestAnnotations(d, current, nextRevision(family)) : current;
    // Sized anew or confirmed in its size: from now on a share of this whole.
    const resized = size !== undefined && (replicas > 0 || replicas !== replicasOf(replicaSet));
    const annotations = resized ? { ...base, ...sizeAnnotations(desired, maxSurge) } : base;
    const minReadySeconds = (isNext ? d : replicaSet).spec?.minReadySeconds ?? 0;
    const change = { replicaSet, replicas, annotations, minReadySeconds };
    return isNeedless(change) ? [] : [change];
  });
}

function isNeedless({ replicaSet, replicas, annotations, minReadySeconds }: Change): boolean {
  const current = replicaSet.metadata.annotations ?? {};
  return (
    replicas === replicasOf(replicaSet) &&
    minReadySeconds === (replicaSet.spec?.minReadySeconds ?? 0) &&
    Object.entries(annotations).every(([key, value]) => current[key] === value)
  );
}

const nextRevision = ({ olds }: Family) => Math.max(0, ...olds.map(revisionOf)) + 1;

const SEPARATOR = "-";
const MAX_NAME = 253;

function newReplicaSet(d: ReadonlyDeployment, family: Family): ReplicaSet {
  const template = deepClone(d.spec?.template ?? {});
  // Of what the template means, so that whoever writes it down gets the same name.
  const hash = hashOf(canonicalTemplate(d.spec?.template), d.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [POD_TEMPLATE_HASH]: hash };
  const selector = deepClone(d.spec?.selector ?? {});
  const { desired, maxSurge } = limitsOf(desiredOf(d), d.spec?.strategy);
  return {
    metadata: {
      name: nameOf(d).slice(0, MAX_NAME - SEPARATOR.length - hash.length) + SEPARATOR + hash,
      namespace: namespaceOf(d),
      labels,
      annotations: {
        ...newestAnnotations(d, undefined, nextRevision(family)),
        ...sizeAnnotations(desired, maxSurge),
      },
      ownerReferences: [ownerReference(deployments as unknown as ResourceRef, d)],
    },
    spec: {
      replicas: 0,
      ...(d.spec?.minReadySeconds && { minReadySeconds: d.spec.minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [POD_TEMPLATE_HASH]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

/** Kept for ever, as Kubernetes reads this number. */
const NO_LIMIT = 2 ** 31 - 1;

/** Of the empty old ones all but the latest `revisionHistoryLimit`. */
function forgotten(d: ReadonlyDeployment, olds: readonly ReadonlyReplicaSet[]): readonly ReadonlyReplicaSet[] {
  const limit = d.spec?.revisionHistoryLimit ?? NO_LIMIT;
  const alive = olds.filter((rs) => rs.metadata.deletionTimestamp === undefined);
  const count = limit === NO_LIMIT ? 0 : Math.max(0, alive.length - limit);
  const byRevision = alive.toSorted((a, b) => revisionOf(a) - revisionOf(b));
  const isEmpty = (rs: ReadonlyReplicaSet) => replicasOf(rs) === 0 && (rs.status?.replicas ?? 0) === 0;
  return byRevision.slice(0, count).filter((rs) => isObserved(rs) && isEmpty(rs));
}

function sizeOf(rs: ReadonlyReplicaSet): Size {
  const replicas = replicasOf(rs);
  const desired = numberIn(rs.metadata.annotations, DESIRED_REPLICAS);
  const max = numberIn(rs.metadata.annotations, MAX_REPLICAS);
  return {
    name: nameOf(rs),
    replicas,
    available: Math.min(rs.status?.availableReplicas ?? 0, replicas),
    stale: !isObserved(rs),
    ...(desired !== undefined && { desired }),
    ...(max !== undefined && { max }),
  };
}
