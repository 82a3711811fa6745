/** Which Pods a ResourceQuota is about, when not about all. */
import type { DeepReadonly } from "../../util/types.ts";
import type { PersistentVolumeClaim, Pod, PodAffinityTerm, ResourceQuota } from "../generated/types.ts";
import type { ApiObject } from "../object.ts";
import { qosClass } from "../pod.ts";
import { matchesRequirement, type SelectorOperator } from "../selectors.ts";
import type { Counted } from "./usage.ts";

interface Scope {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[] | undefined;
}

/** All scopes must match; a quota without any is about everything. */
export function inScopes(quota: DeepReadonly<ResourceQuota>, kind: Counted, o: DeepReadonly<ApiObject>): boolean {
  return scopesOf(quota).every((scope) => matches(scope, kind, o));
}

function scopesOf(quota: DeepReadonly<ResourceQuota>): readonly Scope[] {
  const plain = (quota.spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists" }));
  return [...plain, ...(quota.spec?.scopeSelector?.matchExpressions ?? [])];
}

function matches(scope: Scope, kind: Counted, o: DeepReadonly<ApiObject>): boolean {
  if (kind.group !== "") return false;
  if (kind.plural === "pods") return matchesPod(scope, o as DeepReadonly<Pod>);
  return kind.plural === "persistentvolumeclaims" && matchesClaim(scope, o as DeepReadonly<PersistentVolumeClaim>);
}

function matchesPod(scope: Scope, pod: DeepReadonly<Pod>): boolean {
  const deadline = pod.spec?.activeDeadlineSeconds;
  switch (scope.scopeName) {
    case "Terminating":
      return deadline !== undefined && deadline >= 0;
    case "NotTerminating":
      return !(deadline !== undefined && deadline >= 0);
    case "BestEffort":
      return qosClass(pod) === "BestEffort";
    case "NotBestEffort":
      return qosClass(pod) !== "BestEffort";
    case "PriorityClass":
      return matchesName(scope, pod.spec?.priorityClassName);
    case "CrossNamespacePodAffinity":
      return looksAbroad(pod);
    default:
      return false;
  }
}

function matchesClaim(scope: Scope, claim: DeepReadonly<PersistentVolumeClaim>): boolean {
  if (scope.scopeName !== "VolumeAttributesClass") return false;
  const { status, spec } = claim;
  const names = [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ].filter(Boolean);
  return names.length ? names.some((name) => matchesName(scope, name)) : matchesName(scope, undefined);
}

function matchesName(scope: Scope, name: string | undefined): boolean {
  const requirement = {
    key: scope.scopeName,
    operator: scope.operator as SelectorOperator,
    values: scope.values ?? [],
  };
  return matchesRequirement(requirement, name ? { [scope.scopeName]: name } : {});
}

/** Its affinity can see Pods of other namespaces. */
function looksAbroad(pod: DeepReadonly<Pod>): boolean {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  return [podAffinity, podAntiAffinity].some((affinity) => {
    const terms: readonly DeepReadonly<PodAffinityTerm>[] = [
      ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((t) => t.podAffinityTerm),
    ];
    return terms.some((t) => t.namespaces?.length || t.namespaceSelector !== undefined);
  });
}
