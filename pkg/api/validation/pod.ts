/** A Pod's spec, beyond what the schema says. Runs after defaulting: what is empty by then was written empty. */
import type { DeepReadonly } from "../../util/types.ts";
import type { HostAlias, Pod, PodSecurityContext, PodSpec } from "../generated/types.ts";
import { validateRestartBackoff } from "../restart-backoff.ts";
import { dnsLabel, dnsSubdomain, type NameCheck, qualifiedName } from "../names.ts";
import { validateContainers, validateId } from "./container.ts";
import { checked, checkedRequired, each, type FieldErrors, invalidValue, oneOf, required, unique } from "./field.ts";
import { validateIp } from "./ip.ts";
import { validateLabels } from "./meta.ts";
import { validateAffinity, validateSpread, validateTolerations } from "./placement.ts";
import { validateQuantities, validateRequirements } from "./resources.ts";
import { validateVolumes } from "./volumes.ts";

type Spec = DeepReadonly<PodSpec>;

const MAX_INT32 = 2 ** 31 - 1;

export function validatePod(pod: DeepReadonly<Pod>): FieldErrors {
  return [
    ...validateRestartBackoff(pod.metadata?.annotations, "metadata.annotations"),
    ...(pod.spec ? validatePodSpec(pod.spec, "spec") : [required("spec.containers")]),
  ];
}

/** Also for the specs in templates, at `spec.template.spec`. */
export function validatePodSpec(spec: Spec, field: string): FieldErrors {
  return [
    ...validateVolumes(spec.volumes, `${field}.volumes`),
    ...validateContainers(spec, field),
    ...oneOf(`${field}.restartPolicy`, spec.restartPolicy, ["Always", "OnFailure", "Never"]),
    ...validateDns(spec, field),
    ...validateLabels(spec.nodeSelector, `${field}.nodeSelector`),
    ...validateSecurity(spec.securityContext, `${field}.securityContext`),
    ...each(`${field}.imagePullSecrets`, spec.imagePullSecrets, (s, at) => (s.name ? [] : [required(`${at}.name`)])),
    ...validateAffinity(spec.affinity, `${field}.affinity`),
    ...each(`${field}.readinessGates`, spec.readinessGates, (g, at) =>
      checked(`${at}.conditionType`, g.conditionType ?? "", qualifiedName),
    ),
    ...each(`${field}.schedulingGates`, spec.schedulingGates, (g, at) =>
      checkedRequired(`${at}.name`, g.name, qualifiedName),
    ),
    ...unique(`${field}.schedulingGates`, spec.schedulingGates, (g) => g.name, ".name"),
    ...validateSpread(spec.topologySpreadConstraints, `${field}.topologySpreadConstraints`),
    ...validateNames(spec, field),
    ...validateDeadline(spec.activeDeadlineSeconds, `${field}.activeDeadlineSeconds`),
    ...validateTolerations(spec.tolerations, `${field}.tolerations`),
    ...validateHostAliases(spec.hostAliases, `${field}.hostAliases`),
    ...(spec.preemptionPolicy
      ? oneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, ["PreemptLowerPriority", "Never"])
      : []),
    ...validateQuantities(spec.overhead, `${field}.overhead`),
    ...(spec.resources ? validateRequirements(spec.resources, `${field}.resources`) : []),
  ];
}

const NAMES: readonly (readonly [keyof PodSpec, NameCheck])[] = [
  ["serviceAccountName", dnsSubdomain],
  ["nodeName", dnsSubdomain],
  ["hostname", dnsLabel],
  ["subdomain", dnsLabel],
  ["priorityClassName", dnsSubdomain],
  ["runtimeClassName", dnsSubdomain],
];

function validateNames(spec: Spec, field: string): FieldErrors {
  return NAMES.flatMap(([key, check]) => {
    const value = spec[key];
    return typeof value === "string" && value ? checked(`${field}.${key}`, value, check) : [];
  });
}

function validateDns(spec: Spec, field: string): FieldErrors {
  const policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
  const servers = spec.dnsConfig?.nameservers ?? [];
  const at = `${field}.dnsConfig.nameservers`;
  const needed = "must provide at least one DNS nameserver when `dnsPolicy` is None";
  return [
    ...oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, policies),
    ...(spec.dnsPolicy === "None" && !servers.length ? [required(at, needed)] : []),
    ...each(at, servers, (ip, i) => validateIp(ip, i)),
  ];
}

function validateHostAliases(list: readonly DeepReadonly<HostAlias>[] | undefined, field: string): FieldErrors {
  return each(field, list, (a, at) => [
    ...validateIp(a.ip, `${at}.ip`),
    ...each(`${at}.hostnames`, a.hostnames, (name, i) => checked(i, name, dnsSubdomain)),
  ]);
}

function validateSecurity(s: DeepReadonly<PodSecurityContext> | undefined, field: string): FieldErrors {
  return [
    ...(["runAsUser", "runAsGroup", "fsGroup"] as const).flatMap((k) => validateId(s?.[k], `${field}.${k}`)),
    ...each(`${field}.supplementalGroups`, s?.supplementalGroups, (id, at) => validateId(id, at)),
  ];
}

function validateDeadline(seconds: number | undefined, field: string): FieldErrors {
  if (seconds === undefined || (seconds >= 1 && seconds <= MAX_INT32)) return [];
  return [invalidValue(field, seconds, `must be between 1 and ${MAX_INT32}, inclusive`)];
}
