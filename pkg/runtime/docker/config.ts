import type { ContainerConfig, PortMapping, SandboxConfig } from "../runtime.ts";
import { bindMount, heldMount, memoryMount, securityBody } from "./isolation.ts";
import { type Labels, volumeLabels } from "./labels.ts";
import { devicesBody, resourcesBody } from "./resources.ts";

/** Without limits a chatty container fills the disk. */
const LOGS = { Type: "json-file", Config: { "max-size": "10m", "max-file": "5" } };

/** Docker's own description of a sandbox: it holds the Pod's network and IPC namespaces and does nothing else. */
export function sandboxBody(
  c: SandboxConfig,
  o: { image: string; network: string; labels: Labels; minOomScoreAdj: number },
): object {
  const published = c.hostNetwork ? [] : c.ports;
  return {
    Image: o.image,
    Labels: o.labels,
    ...(c.hostNetwork ? {} : { Hostname: c.hostname }),
    ExposedPorts: Object.fromEntries(published.map((p) => [portKey(p), {}])),
    HostConfig: {
      NetworkMode: c.hostNetwork ? "host" : o.network,
      ...(c.runtimeHandler ? { Runtime: c.runtimeHandler } : {}),
      IpcMode: c.hostIPC ? "host" : "shareable",
      ...(c.sysctls ? { Sysctls: c.sysctls } : {}),
      ...(c.memoryVolumes ? { Mounts: c.memoryVolumes.map((v) => heldMount(v, volumeLabels(o.labels))) } : {}),
      PortBindings: portBindings(published),
      // The last thing to lose in a Pod, and never worth CPU.
      OomScoreAdj: Math.max(-998, o.minOomScoreAdj),
      CpuShares: 2,
      LogConfig: { Type: "none" },
    },
    ...(c.ip === undefined || c.hostNetwork
      ? {}
      : { NetworkingConfig: { EndpointsConfig: { [o.network]: { IPAMConfig: { IPv4Address: c.ip } } } } }),
  };
}

export function containerBody(c: ContainerConfig, o: { labels: Labels; minOomScoreAdj: number }): object {
  const { resources: r, security: s } = c;
  return {
    Image: c.image,
    Labels: o.labels,
    ...entrypoint(c),
    Env: c.env.map((e) => `${e.name}=${e.value}`),
    Tty: c.tty,
    OpenStdin: c.stdin,
    ...(c.stopSignal ? { StopSignal: c.stopSignal } : {}),
    StdinOnce: c.stdin && (c.stdinOnce ?? false),
    ...(c.workingDir ? { WorkingDir: c.workingDir } : {}),
    ...(s.user ? { User: s.user } : {}),
    HostConfig: {
      NetworkMode: `container:${c.sandboxId}`,
      ...(c.runtimeHandler ? { Runtime: c.runtimeHandler } : {}),
      IpcMode: c.hostIPC ? "host" : `container:${c.sandboxId}`,
      ...pidMode(c),
      Mounts: [
        ...c.mounts.map(bindMount),
        ...(c.memoryMounts ?? []).map((m) => memoryMount(m, volumeLabels(o.labels))),
      ],
      ...resourcesBody(r),
      ...devicesBody(c.devices, c.blockDevices),
      ...(r.oomScoreAdj === undefined ? {} : { OomScoreAdj: Math.max(r.oomScoreAdj, o.minOomScoreAdj) }),
      ...securityBody(s),
      LogConfig: LOGS,
    },
  };
}

/** The processes it sees: the host's, those of its target, of the whole Pod, or its own only. */
function pidMode(c: ContainerConfig): object {
  if (c.hostPID) return { PidMode: "host" };
  if (c.targetId !== undefined) return { PidMode: `container:${c.targetId}` };
  return c.shareProcessNamespace ? { PidMode: `container:${c.sandboxId}` } : {};
}

/** `command` replaces the image's ENTRYPOINT and CMD both; `args` alone only its CMD. */
function entrypoint({ command, args }: ContainerConfig): object {
  if (command && command.length > 0) return { Entrypoint: command, Cmd: args ?? [] };
  return args && args.length > 0 ? { Cmd: args } : {};
}

const portKey = (p: PortMapping) => `${p.containerPort}/${p.protocol.toLowerCase()}`;

function portBindings(ports: readonly PortMapping[]): Record<string, { HostIp: string; HostPort: string }[]> {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const p of ports) (bindings[portKey(p)] ??= []).push({ HostIp: p.hostIP ?? "", HostPort: String(p.hostPort) });
  return bindings;
}
