/** Kernel settings that a Pod may have of its own. Pure. */
import type { Pod } from "./facts.ts";

/** Those that are the Pod's own and harm nobody else, with the namespace they belong to. */
export const SAFE_SYSCTLS: Readonly<Record<string, "ipc" | "net">> = {
  "kernel.shm_rmid_forced": "ipc",
  "net.ipv4.ip_local_port_range": "net",
  "net.ipv4.tcp_syncookies": "net",
  "net.ipv4.ping_group_range": "net",
  "net.ipv4.ip_unprivileged_port_start": "net",
  "net.ipv4.ip_local_reserved_ports": "net",
  "net.ipv4.tcp_keepalive_time": "net",
  "net.ipv4.tcp_fin_timeout": "net",
  "net.ipv4.tcp_keepalive_intvl": "net",
  "net.ipv4.tcp_keepalive_probes": "net",
  "net.ipv4.tcp_rmem": "net",
  "net.ipv4.tcp_wmem": "net",
};

/** As the kernel takes them: `net/ipv4/tcp_syncookies` is another way to write one, and then a dot is part of a name. */
export function sysctlsOf({ spec }: Pod): Readonly<Record<string, string>> {
  return Object.fromEntries((spec?.securityContext?.sysctls ?? []).map((s) => [dotted(s.name), s.value]));
}

function dotted(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === "/" ? name.replace(/[./]/g, (c) => (c === "/" ? "." : "/")) : name;
}
