/** From a Pod's spec to what the runtime is told. Pure. */
import type { PodSecurityContext, SecurityContext } from "../api/generated/types.ts";
import type { ContainerConfig, PortMapping, SandboxConfig } from "../runtime/runtime.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { AllocatedDevices } from "./devices/devices.ts";
import { ConfigError, type EnvInput, expand, resolveEnv } from "./env.ts";
import { containersOf, type Pod } from "./facts.ts";
import { containerResources } from "./resources.ts";
import { specHash } from "./restart.ts";

export function sandboxConfig(pod: Pod, attempt: number): SandboxConfig {
  const { name = "", namespace = "", uid = "" } = pod.metadata;
  const spec = pod.spec;
  return {
    uid,
    name,
    namespace,
    attempt,
    hostname: (spec?.hostname ?? name).slice(0, 63).replace(/[-.]+$/, ""),
    hostNetwork: spec?.hostNetwork ?? false,
    ports: portsOf(pod),
    shareProcessNamespace: spec?.shareProcessNamespace ?? false,
  };
}

/** On the host's network a container's ports are the host's already. */
export function portsOf(pod: Pod): PortMapping[] {
  if (pod.spec?.hostNetwork) return [];
  return containersOf(pod)
    .flatMap((c) => c.ports ?? [])
    .flatMap((p) =>
      p.hostPort
        ? [
            {
              containerPort: p.containerPort,
              hostPort: p.hostPort,
              ...(p.hostIP !== undefined && { hostIP: p.hostIP }),
              protocol: p.protocol === "UDP" || p.protocol === "SCTP" ? p.protocol : "TCP",
            },
          ]
        : [],
    );
}

export interface ContainerInput extends EnvInput {
  readonly attempt: number;
  readonly sandboxId: string;
  readonly mounts: ContainerConfig["mounts"];
  readonly nodeMemory: number;
  /** Processes and threads it may have. */
  readonly pids?: number;
  readonly devices?: AllocatedDevices;
  /** Whom the image runs as; absent: root. */
  readonly imageUser?: string;
}

/** Throws {@link ConfigError} for what cannot be made from this spec now. */
export function containerConfig(i: ContainerInput): ContainerConfig {
  const { pod, container: c } = i;
  refuseRoot(i);
  const env = resolveEnv(i);
  const variables = new Map(env.map((e) => [e.name, e.value]));
  const expanded = (words: readonly string[]) => words.map((w) => expand(w, variables));
  const { name: podName = "", namespace: podNamespace = "", uid: podUid = "" } = pod.metadata;
  return {
    podUid,
    podName,
    podNamespace,
    sandboxId: i.sandboxId,
    name: c.name,
    attempt: i.attempt,
    image: c.image ?? "",
    ...(c.command?.length && { command: expanded(c.command) }),
    ...(c.args?.length && { args: expanded(c.args) }),
    env: i.devices ? [...i.devices.env, ...env] : env,
    ...(i.devices && { devices: i.devices }),
    ...(c.workingDir !== undefined && { workingDir: c.workingDir }),
    mounts: i.mounts,
    resources: containerResources(pod, c, i),
    security: securityOf(pod.spec?.securityContext, c.securityContext),
    ...(pod.spec?.shareProcessNamespace && { shareProcessNamespace: true }),
    ...(c.lifecycle?.stopSignal && { stopSignal: c.lifecycle.stopSignal }),
    tty: c.tty ?? false,
    stdin: c.stdin ?? false,
    ...(c.stdinOnce && { stdinOnce: true }),
    specHash: specHash(c),
  };
}

/** As the kubelet's verifyRunAsNonRoot: a user known by name only may be root under another name. */
function refuseRoot({ pod, container: c, imageUser }: ContainerInput): void {
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

/** The container's word counts before the Pod's. */
function securityOf(
  pod: DeepReadonly<PodSecurityContext> | undefined,
  c: DeepReadonly<SecurityContext> | undefined,
): ContainerConfig["security"] {
  const uid = c?.runAsUser ?? pod?.runAsUser;
  const gid = c?.runAsGroup ?? pod?.runAsGroup;
  return {
    ...(c?.privileged !== undefined && { privileged: c.privileged }),
    ...(uid !== undefined && { user: gid === undefined ? `${uid}` : `${uid}:${gid}` }),
    ...(uid === undefined && gid !== undefined && { user: `0:${gid}` }),
    ...(pod?.supplementalGroups && { groups: pod.supplementalGroups.map(String) }),
    ...(c?.readOnlyRootFilesystem !== undefined && { readOnlyRootFilesystem: c.readOnlyRootFilesystem }),
    ...(c?.capabilities?.add && { capabilitiesAdd: c.capabilities.add }),
    ...(c?.capabilities?.drop && { capabilitiesDrop: c.capabilities.drop }),
    ...(c?.allowPrivilegeEscalation === false && { noNewPrivileges: true }),
  };
}
