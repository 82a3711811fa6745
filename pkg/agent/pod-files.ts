/**
 * /etc/hosts and /etc/resolv.conf of a Pod: files of ours that all of its containers mount, beside its volumes. They are
 * written in place, for a mount holds the file and not its name; and at once, for they are too small to hand over to a
 * thread.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Mount } from "../runtime/isolation.ts";
import type { Container, Pod } from "./facts.ts";
import { hostsFile, namesOf } from "./host-names.ts";
import { isLoopback, parseResolvConf, podDns, type ResolvConf, resolvConfText } from "./resolv-conf.ts";

export interface PodFilesOptions {
  readonly dataDir: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
}

const HOSTS = "/etc/hosts";
const RESOLV_CONF = "/etc/resolv.conf";
/** What systemd-resolved, which listens on loopback, asks itself. */
const RESOLVED_CONF = "/run/systemd/resolve/resolv.conf";

export class PodFiles {
  readonly #o: PodFilesOptions;

  constructor(o: PodFilesOptions) {
    this.#o = o;
  }

  /** Before a container starts. Idempotent; the Pod's address may not be known yet when its containers are created. */
  writeHosts(pod: Pod, ip: string | undefined): void {
    const nodeHosts = pod.spec?.hostNetwork ? textOf(HOSTS) : "";
    const names = namesOf(pod, this.#o.clusterDomain);
    const text = hostsFile({ pod, names, ips: ip === undefined ? [] : [ip], nodeHosts });
    writeInPlace(this.#path(pod, "etc-hosts"), text);
  }

  /** What to mount into a container, which may bring files of its own instead; `warn` is told what has been left out. */
  mounts(pod: Pod, c: Container, warn: (message: string) => void): readonly Mount[] {
    const own = new Set((c.volumeMounts ?? []).map((m) => m.mountPath.replace(/\/+$/, "")));
    const hosts = { hostPath: this.#path(pod, "etc-hosts"), containerPath: HOSTS, readOnly: false };
    // It must be there when the container is created; what it says, when that starts.
    if (!own.has(HOSTS) && read(hosts.hostPath) === undefined) this.writeHosts(pod, undefined);
    const resolv = own.has(RESOLV_CONF) ? undefined : this.#writeResolvConf(pod, warn);
    const readOnly = c.securityContext?.readOnlyRootFilesystem ?? false;
    return [
      ...(own.has(HOSTS) ? [] : [hosts]),
      ...(resolv === undefined ? [] : [{ hostPath: resolv, containerPath: RESOLV_CONF, readOnly }]),
    ];
  }

  /** Undefined: what the runtime gives is right. */
  #writeResolvConf(pod: Pod, warn: (message: string) => void): string | undefined {
    const { clusterDns, clusterDomain } = this.#o;
    const dns = podDns({ pod, clusterDns, clusterDomain, host: hostDns() });
    if (!dns) return undefined;
    const path = this.#path(pod, "resolv.conf");
    const changed = writeInPlace(path, resolvConfText(dns.conf));
    if (changed) dns.warnings.forEach(warn);
    return path;
  }

  #path(pod: Pod, file: string): string {
    return join(this.#o.dataDir, "pods", pod.metadata.uid ?? "", file);
  }
}

function hostDns(): ResolvConf {
  const conf = parseResolvConf(textOf(RESOLV_CONF));
  if (!conf.servers.every(isLoopback)) return conf;
  const behind = parseResolvConf(textOf(RESOLVED_CONF));
  return behind.servers.length > 0 ? behind : conf;
}

/** Empty on a machine that has no such file. */
function textOf(path: string): string {
  return read(path) ?? "";
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** True when it was not so already. */
function writeInPlace(path: string, text: string): boolean {
  if (read(path) === text) return false;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o644 });
  return true;
}
