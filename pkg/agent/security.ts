/** A container's security context: whom it runs as and what it may do. The container's word counts before the Pod's. Pure. */
import type { ContainerSecurity } from "../runtime/isolation.ts";
import { ConfigError } from "./env.ts";
import type { Container, Pod } from "./facts.ts";

export interface SecurityInput {
  readonly pod: Pod;
  readonly container: Container;
  /** Whom the image runs as; absent: root. */
  readonly imageUser?: string;
  /** The text of the profile that `seccompProfileFile` names. */
  readonly seccompProfile?: string;
  /** The node can enforce profiles of AppArmor. */
  readonly appArmor?: boolean;
}

export function securityOf(i: SecurityInput): ContainerSecurity {
  const {
    pod: { spec },
    container: { securityContext: c },
  } = i;
  const user = userOf(i);
  const groups = groupsOf(i.pod);
  const appArmor = i.appArmor ? appArmorOf(i) : undefined;
  const seccomp = seccompOf(i);
  const { user: seUser, role, type, level } = c?.seLinuxOptions ?? spec?.securityContext?.seLinuxOptions ?? {};
  const seLinux = Object.entries({ user: seUser, role, type, level }).filter(([, value]) => value);
  return {
    ...(c?.privileged !== undefined && { privileged: c.privileged }),
    ...(user !== undefined && { user }),
    ...(groups.length > 0 && { groups }),
    ...(c?.readOnlyRootFilesystem !== undefined && { readOnlyRootFilesystem: c.readOnlyRootFilesystem }),
    ...(c?.capabilities?.add && { capabilitiesAdd: c.capabilities.add }),
    ...(c?.capabilities?.drop && { capabilitiesDrop: c.capabilities.drop }),
    ...(c?.allowPrivilegeEscalation === false && { noNewPrivileges: true }),
    ...(seccomp !== undefined && { seccomp }),
    ...(appArmor !== undefined && { appArmor }),
    ...(seLinux.length > 0 && { seLinux: Object.fromEntries(seLinux) }),
    ...(c?.procMount === "Unmasked" && { unmaskedProc: true }),
  };
}

/**
 * Docker adds the groups that the image gives its user only where no group is named: so with a group it is as
 * supplementalGroupsPolicy Strict, and without as Merge.
 */
function userOf({ pod: { spec }, container: { securityContext: c }, imageUser }: SecurityInput): string | undefined {
  const uid = c?.runAsUser ?? spec?.securityContext?.runAsUser;
  const gid = c?.runAsGroup ?? spec?.securityContext?.runAsGroup;
  if (gid === undefined) return uid === undefined ? undefined : `${uid}`;
  return `${uid ?? (imageUser?.split(":")[0] || "0")}:${gid}`;
}

/** Who may write to volumes is in their group. */
function groupsOf({ spec }: Pod): string[] {
  const { supplementalGroups = [], fsGroup } = spec?.securityContext ?? {};
  return [...new Set([...supplementalGroups, ...(fsGroup === undefined ? [] : [fsGroup])])].map(String);
}

/** Where nothing is said Docker's own profile is in force, as with the kubelet's seccompDefault. */
function seccompOf(i: SecurityInput): ContainerSecurity["seccomp"] {
  const profile = seccompProfileOf(i);
  if (profile?.type === "Unconfined") return "unconfined";
  if (profile?.type !== "Localhost") return undefined;
  if (i.seccompProfile === undefined) throw new ConfigError(`no seccomp profile ${profile.localhostProfile ?? ""}`);
  return { profile: i.seccompProfile };
}

function seccompProfileOf({ pod, container }: Pick<SecurityInput, "pod" | "container">) {
  return container.securityContext?.seccompProfile ?? pod.spec?.securityContext?.seccompProfile;
}

/** The file, below the agent's directory of profiles, that the container needs. */
export function seccompProfileFile(pod: Pod, container: Container): string | undefined {
  const profile = seccompProfileOf({ pod, container });
  return profile?.type === "Localhost" ? (profile.localhostProfile ?? "") : undefined;
}

function appArmorOf({ pod, container }: SecurityInput): string | undefined {
  const profile = container.securityContext?.appArmorProfile ?? pod.spec?.securityContext?.appArmorProfile;
  if (profile?.type === "Unconfined") return "unconfined";
  return profile?.type === "Localhost" ? profile.localhostProfile : undefined;
}

/** As the kubelet's verifyRunAsNonRoot: a user known by name only may be root under another name. */
export function refuseRoot({ pod, container: c, imageUser }: SecurityInput): void {
  const [own, common] = [c.securityContext, pod.spec?.securityContext];
  if (!(own?.runAsNonRoot ?? common?.runAsNonRoot)) return;
  const where = `(pod: "${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})", container: ${c.name})`;
  const uid = own?.runAsUser ?? common?.runAsUser;
  if (uid === 0) throw new ConfigError(`container's runAsUser breaks non-root policy ${where}`);
  if (uid !== undefined) return;
  const [user = ""] = (imageUser ?? "").split(":");
  if (user === "" || Number(user) === 0)
    throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  if (!/^\d+$/.test(user)) {
    const why = `image has non-numeric user (${user}), cannot verify user is non-root`;
    throw new ConfigError(`container has runAsNonRoot and ${why} ${where}`);
  }
}
