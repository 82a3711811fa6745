/** What `baseline` forbids: the known ways out of a container. */
import type { LifecycleHandler, Probe, SELinuxOptions } from "../../../api/generated/types.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type AnyContainer, type Check, containersOf } from "./pod-shape.ts";
import { containers, plural, quoted, setters, sorted } from "./words.ts";

const APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/";
const APPARMOR_TYPES: readonly string[] = ["RuntimeDefault", "Localhost"];
const appArmorAnnotationAllowed = (v: string) => v === "" || v === "runtime/default" || v.startsWith("localhost/");

export const appArmorProfile: Check = (pod) => {
  const bad = (type: string | undefined) => type !== undefined && !APPARMOR_TYPES.includes(type);
  const podType = pod.spec.securityContext?.appArmorProfile?.type;
  const typeOf = (c: AnyContainer) => c.securityContext?.appArmorProfile?.type;
  const those = containersOf(pod).filter((c) => bad(typeOf(c)));
  const annotations = Object.entries(pod.metadata.annotations ?? {})
    .filter(([k, v]) => k.startsWith(APPARMOR_ANNOTATION) && !appArmorAnnotationAllowed(v))
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`);
  const values = sorted([...(bad(podType) ? [podType ?? ""] : []), ...those.map((c) => typeOf(c) ?? "")]);
  const all = [...values, ...annotations.sort()];
  if (all.length === 0) return undefined;
  const by = [
    ...(values.length ? [setters(bad(podType), those)] : []),
    ...(annotations.length ? [plural("annotation", "annotations", annotations.length)] : []),
  ];
  return {
    reason: plural("forbidden AppArmor profile", "forbidden AppArmor profiles", all.length),
    detail: `${by.join(" and ")} must not set AppArmor profile type to ${quoted(all)}`,
  };
};

const DEFAULT_CAPABILITIES: ReadonlySet<string> = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);

export const capabilitiesBaseline: Check = (pod) => {
  const beyond = (c: AnyContainer) =>
    (c.securityContext?.capabilities?.add ?? []).filter((name) => !DEFAULT_CAPABILITIES.has(name));
  const bad = containersOf(pod).filter((c) => beyond(c).length > 0);
  if (bad.length === 0) return undefined;
  return {
    reason: "non-default capabilities",
    detail: `${containers(bad)} must not include ${quoted(sorted(bad.flatMap(beyond)))} in securityContext.capabilities.add`,
  };
};

export const hostNamespaces: Check = ({ spec }) => {
  const used = (["hostNetwork", "hostPID", "hostIPC"] as const).filter((field) => spec[field]);
  if (used.length === 0) return undefined;
  return { reason: "host namespaces", detail: used.map((field) => `${field}=true`).join(", ") };
};

export const hostPathVolumes: Check = ({ spec }) => {
  const names = (spec.volumes ?? []).filter((v) => v.hostPath).map((v) => v.name);
  if (names.length === 0) return undefined;
  return { reason: "hostPath volumes", detail: `${plural("volume", "volumes", names.length)} ${quoted(names)}` };
};

export const hostPorts: Check = (pod) => {
  const portsOf = (c: AnyContainer) => (c.ports ?? []).flatMap((p) => (p.hostPort ? [String(p.hostPort)] : []));
  const bad = containersOf(pod).filter((c) => portsOf(c).length > 0);
  if (bad.length === 0) return undefined;
  const ports = sorted(bad.flatMap(portsOf));
  const uses = `${plural("uses", "use", bad.length)} ${plural("hostPort", "hostPorts", ports.length)}`;
  return { reason: "hostPort", detail: `${containers(bad)} ${uses} ${ports.join(", ")}` };
};

export const hostProbes: Check = (pod) => {
  const host = (h: DeepReadonly<Probe | LifecycleHandler> | undefined) => [h?.httpGet?.host, h?.tcpSocket?.host];
  const hostsOf = (c: AnyContainer) =>
    [c.livenessProbe, c.readinessProbe, c.startupProbe, c.lifecycle?.postStart, c.lifecycle?.preStop]
      .flatMap(host)
      .filter((h): h is string => Boolean(h));
  const bad = containersOf(pod).filter((c) => hostsOf(c).length > 0);
  if (bad.length === 0) return undefined;
  const names = sorted(bad.map((c) => c.name));
  const hosts = sorted(bad.flatMap(hostsOf));
  const what = plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.length);
  const who = `${plural("container", "containers", names.length)} ${quoted(names)}`;
  return {
    reason: "probe or lifecycle host",
    detail: `${who} ${plural("uses", "use", names.length)} ${what} ${quoted(hosts)}`,
  };
};

export const privileged: Check = (pod) => {
  const bad = containersOf(pod).filter((c) => c.securityContext?.privileged);
  if (bad.length === 0) return undefined;
  return { reason: "privileged", detail: `${containers(bad)} must not set securityContext.privileged=true` };
};

const SELINUX_TYPES = ["", "container_t", "container_init_t", "container_kvm_t"];

export const seLinuxOptions =
  (more: readonly string[]): Check =>
  (pod) => {
    const allowed = [...SELINUX_TYPES, ...more];
    const badType = (o: DeepReadonly<SELinuxOptions> | undefined) =>
      o && !allowed.includes(o.type ?? "") ? [o.type ?? ""] : [];
    const isBad = (o: DeepReadonly<SELinuxOptions> | undefined) => badType(o).length > 0 || o?.user || o?.role;
    const own = pod.spec.securityContext?.seLinuxOptions;
    const bad = containersOf(pod).filter((c) => isBad(c.securityContext?.seLinuxOptions));
    if (!isBad(own) && bad.length === 0) return undefined;
    const options = [own, ...bad.map((c) => c.securityContext?.seLinuxOptions)];
    const types = sorted(options.flatMap(badType));
    const what = [
      ...(types.length ? [`${plural("type", "types", types.length)} ${quoted(types)}`] : []),
      ...(options.some((o) => o?.user) ? ["user may not be set"] : []),
      ...(options.some((o) => o?.role) ? ["role may not be set"] : []),
    ];
    const who = setters(Boolean(isBad(own)), bad);
    return {
      reason: "seLinuxOptions",
      detail: `${who} set forbidden securityContext.seLinuxOptions: ${what.join("; ")}`,
    };
  };

const SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/";

/** Before there were fields for it. */
export const seccompAnnotations: Check = (pod) => {
  const annotations = pod.metadata.annotations ?? {};
  const keys = [SECCOMP_POD, ...containersOf(pod).map((c) => SECCOMP_CONTAINER + c.name)];
  const bad = sorted(keys).flatMap((key) => {
    const value = annotations[key];
    const fine =
      value === undefined ||
      value === "runtime/default" ||
      value === "docker/default" ||
      value.startsWith("localhost/");
    return fine ? [] : [`${key}=${JSON.stringify(value)}`];
  });
  if (bad.length === 0) return undefined;
  const what = plural("annotation", "annotations", bad.length);
  return { reason: "seccompProfile", detail: `forbidden ${what} ${bad.join(", ")}` };
};

export const badSeccomp = (type: string | undefined) =>
  type !== undefined && type !== "RuntimeDefault" && type !== "Localhost";

export const seccompBaseline: Check = (pod) => {
  const own = pod.spec.securityContext?.seccompProfile?.type;
  const typeOf = (c: AnyContainer) => c.securityContext?.seccompProfile?.type;
  const bad = containersOf(pod).filter((c) => badSeccomp(typeOf(c)));
  if (!badSeccomp(own) && bad.length === 0) return undefined;
  const types = sorted([...(badSeccomp(own) ? [own ?? ""] : []), ...bad.map((c) => typeOf(c) ?? "")]);
  return {
    reason: "seccompProfile",
    detail: `${setters(badSeccomp(own), bad)} must not set securityContext.seccompProfile.type to ${quoted(types)}`,
  };
};

/** With the minor version each became safe in. */
const SAFE_SYSCTLS: readonly (readonly [name: string, since: number])[] = [
  ["kernel.shm_rmid_forced", 0],
  ["net.ipv4.ip_local_port_range", 0],
  ["net.ipv4.tcp_syncookies", 0],
  ["net.ipv4.ping_group_range", 0],
  ["net.ipv4.ip_unprivileged_port_start", 0],
  ["net.ipv4.ip_local_reserved_ports", 27],
  ["net.ipv4.tcp_keepalive_time", 29],
  ["net.ipv4.tcp_fin_timeout", 29],
  ["net.ipv4.tcp_keepalive_intvl", 29],
  ["net.ipv4.tcp_keepalive_probes", 29],
  ["net.ipv4.tcp_rmem", 32],
  ["net.ipv4.tcp_wmem", 32],
];

export const sysctls =
  (minor: number): Check =>
  ({ spec }) => {
    const safe = new Set(SAFE_SYSCTLS.flatMap(([name, since]) => (since <= minor ? [name] : [])));
    const bad = (spec.securityContext?.sysctls ?? []).filter((s) => !safe.has(s.name));
    return bad.length ? { reason: "forbidden sysctls", detail: bad.map((s) => s.name).join(", ") } : undefined;
  };

export const windowsHostProcess: Check = (pod) => {
  const own = pod.spec.securityContext?.windowsOptions?.hostProcess === true;
  const bad = containersOf(pod).filter((c) => c.securityContext?.windowsOptions?.hostProcess);
  if (!own && bad.length === 0) return undefined;
  return {
    reason: "hostProcess",
    detail: `${setters(own, bad)} must not set securityContext.windowsOptions.hostProcess=true`,
  };
};
