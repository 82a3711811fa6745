/** From a Pod's spec to what the runtime is told. Pure. */
import type { ContainerConfig, PortMapping, SandboxConfig } from "../runtime/runtime.ts";
import type { AllocatedDevices } from "./devices/devices.ts";
import { memoryVolumesOf } from "./empty-dir.ts";
import { ConfigError, type EnvInput, expand, resolveEnv } from "./env.ts";
import { containersOf, type Pod } from "./facts.ts";
import { kernelName } from "./host-names.ts";
import { containerResources, refuseHugePages } from "./resources.ts";
import { specHash } from "./restart.ts";
import { refuseRoot, securityOf } from "./security.ts";
import { sysctlsOf } from "./sysctls.ts";

export const DEFAULT_CLUSTER_DOMAIN = "cluster.local";

export interface SandboxInput {
  readonly clusterDomain?: string;
  /** Bytes that Pods may have; 0: not known. */
  readonly nodeMemory?: number;
}

/** Throws {@link ConfigError} for what cannot be had here. */
export function sandboxConfig(pod: Pod, attempt: number, o: SandboxInput = {}): SandboxConfig {
  const { name = "", namespace = "", uid = "" } = pod.metadata;
  const spec = pod.spec;
  if (spec?.hostUsers === false) throw new ConfigError("user namespaces of Pods are not supported by Docker");
  const sysctls = sysctlsOf(pod);
  const memoryVolumes = memoryVolumesOf(pod, o.nodeMemory ?? 0);
  return {
    uid,
    name,
    namespace,
    attempt,
    hostname: kernelName(pod, o.clusterDomain ?? DEFAULT_CLUSTER_DOMAIN),
    hostNetwork: spec?.hostNetwork ?? false,
    ports: portsOf(pod),
    shareProcessNamespace: spec?.shareProcessNamespace ?? false,
    ...(spec?.hostIPC && { hostIPC: true }),
    ...(Object.keys(sysctls).length > 0 && { sysctls }),
    ...(memoryVolumes.length > 0 && { memoryVolumes }),
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

/** A container's part in the Pod's volumes. */
export type ContainerMounts = Pick<ContainerConfig, "mounts" | "memoryMounts" | "blockDevices">;

export interface ContainerInput extends EnvInput {
  readonly attempt: number;
  readonly sandboxId: string;
  readonly mounts: ContainerMounts;
  readonly nodeMemory: number;
  /** Processes and threads it may have. */
  readonly pids?: number;
  readonly devices?: AllocatedDevices;
  /** Whom the image runs as; absent: root. */
  readonly imageUser?: string;
  /** See SecurityInput in security.ts. */
  readonly seccompProfile?: string;
  readonly appArmor?: boolean;
}

/** Throws {@link ConfigError} for what cannot be made from this spec now. */
export function containerConfig(i: ContainerInput): ContainerConfig {
  const { pod, container: c } = i;
  refuseRoot(i);
  refuseHugePages(c);
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
    ...i.mounts,
    resources: containerResources(pod, c, i),
    security: securityOf(i),
    ...(pod.spec?.shareProcessNamespace && { shareProcessNamespace: true }),
    ...(pod.spec?.hostIPC && { hostIPC: true }),
    ...(pod.spec?.hostPID && { hostPID: true }),
    ...(c.lifecycle?.stopSignal && { stopSignal: c.lifecycle.stopSignal }),
    tty: c.tty ?? false,
    stdin: c.stdin ?? false,
    ...(c.stdinOnce && { stdinOnce: true }),
    specHash: specHash(c),
  };
}
