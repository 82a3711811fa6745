/** What a node cannot or will not do for a Pod, however much room there is; in the kubelet's words. Pure. */
import type { RuntimeInfo } from "../runtime/runtime.ts";
import { own } from "../util/keys.ts";
import type { Refusal } from "./admit.ts";
import { containersOf, initContainersOf, type Pod } from "./facts.ts";
import { SAFE_SYSCTLS, sysctlsOf } from "./sysctls.ts";

export type NodeSecurity = Pick<RuntimeInfo, "appArmor">;

/** Undefined: nothing is in the way. */
export function securityRefusal(pod: Pod, node: NodeSecurity): Refusal | undefined {
  return osRefusal(pod) ?? sysctlRefusal(pod) ?? appArmorRefusal(pod, node) ?? groupsRefusal(pod);
}

function osRefusal({ spec }: Pod): Refusal | undefined {
  if (!spec?.os?.name || spec.os.name === "linux") return undefined;
  return { reason: "PodOSNotSupported", message: "Failed to admit pod as the OS field doesn't match node OS" };
}

function sysctlRefusal(pod: Pod): Refusal | undefined {
  const host = { ipc: pod.spec?.hostIPC, net: pod.spec?.hostNetwork };
  for (const name of Object.keys(sysctlsOf(pod))) {
    const namespace = own(SAFE_SYSCTLS, name);
    if (namespace && !host[namespace]) continue;
    const why = namespace ? `not allowed with host ${namespace} enabled` : "not allowlisted";
    return { reason: "SysctlForbidden", message: `forbidden sysctl: ${JSON.stringify(name)} ${why}` };
  }
  return undefined;
}

function appArmorRefusal(pod: Pod, node: NodeSecurity): Refusal | undefined {
  if (node.appArmor) return undefined;
  const common = pod.spec?.securityContext?.appArmorProfile;
  const wanted = [...initContainersOf(pod), ...containersOf(pod)].some((c) => {
    const profile = c.securityContext?.appArmorProfile ?? common;
    return profile !== undefined && profile.type !== "Unconfined";
  });
  if (!wanted) return undefined;
  return { reason: "AppArmor", message: "Cannot enforce AppArmor: AppArmor is not enabled on the host" };
}

/** The groups that the image gives its user are left out only where a group is named (see security.ts). */
function groupsRefusal(pod: Pod): Refusal | undefined {
  const common = pod.spec?.securityContext;
  if (common?.supplementalGroupsPolicy !== "Strict") return undefined;
  const all = [...initContainersOf(pod), ...containersOf(pod)];
  if (all.every((c) => (c.securityContext?.runAsGroup ?? common.runAsGroup) !== undefined)) return undefined;
  return {
    reason: "SupplementalGroupsPolicyNotSupported",
    message: "SupplementalGroupsPolicy=Strict is not supported in this node for containers without runAsGroup",
  };
}
