import type { ContainerConfig, PortMapping, SandboxConfig } from "../runtime.ts";
import type { Labels } from "./labels.ts";
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
      IpcMode: "shareable",
      PortBindings: portBindings(published),
      ExtraHosts: c.hostAliases.flatMap((a) => a.hostnames.map((h) => `${h}:${a.ip}`)),
      ...(c.dns ? { Dns: c.dns.servers, DnsSearch: c.dns.searches, DnsOptions: c.dns.options } : {}),
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
    StdinOnce: c.stdin && (c.stdinOnce ?? false),
    ...(c.workingDir ? { WorkingDir: c.workingDir } : {}),
    ...(s.user ? { User: s.user } : {}),
    HostConfig: {
      NetworkMode: `container:${c.sandboxId}`,
      IpcMode: `container:${c.sandboxId}`,
      ...(c.shareProcessNamespace ? { PidMode: `container:${c.sandboxId}` } : {}),
      Binds: c.mounts.map((m) => `${m.hostPath}:${m.containerPath}${m.readOnly ? ":ro" : ""}`),
      ...resourcesBody(r),
      ...devicesBody(c.devices),
      ...(r.oomScoreAdj === undefined ? {} : { OomScoreAdj: Math.max(r.oomScoreAdj, o.minOomScoreAdj) }),
      Privileged: s.privileged ?? false,
      ReadonlyRootfs: s.readOnlyRootFilesystem ?? false,
      ...(s.groups ? { GroupAdd: s.groups } : {}),
      ...(s.capabilitiesAdd ? { CapAdd: s.capabilitiesAdd } : {}),
      ...(s.capabilitiesDrop ? { CapDrop: s.capabilitiesDrop } : {}),
      ...(s.noNewPrivileges ? { SecurityOpt: ["no-new-privileges"] } : {}),
      LogConfig: LOGS,
    },
  };
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
