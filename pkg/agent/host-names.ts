/** What a Pod is called on its network, and its /etc/hosts, as the kubelet writes it. Pure. */
import { ConfigError } from "./env.ts";
import type { Pod } from "./facts.ts";

export interface PodNames {
  readonly hostname: string;
  /** Where that name is known beyond the Pod; empty without a subdomain. */
  readonly domain: string;
}

/** Of a label in DNS. */
const LABEL_LIMIT = 63;
/** Of the kernel's own name for a machine. */
const NODENAME_LIMIT = 64;

export function namesOf(pod: Pod, clusterDomain: string): PodNames {
  const { hostname, hostnameOverride, subdomain } = pod.spec ?? {};
  if (hostnameOverride) return { hostname: shortened(hostnameOverride), domain: "" };
  const domain = subdomain ? `${subdomain}.${pod.metadata.namespace ?? ""}.svc.${clusterDomain}` : "";
  return { hostname: shortened(hostname || (pod.metadata.name ?? "")), domain };
}

/** What `hostname` says in the Pod. Throws {@link ConfigError} for a name that the kernel cannot hold. */
export function kernelName(pod: Pod, clusterDomain: string): string {
  const { hostname, domain } = namesOf(pod, clusterDomain);
  if (!pod.spec?.setHostnameAsFQDN || domain === "") return hostname;
  const fqdn = `${hostname}.${domain}`;
  if (fqdn.length <= NODENAME_LIMIT) return fqdn;
  const limits = `${NODENAME_LIMIT} characters is the max, ${fqdn.length} characters requested`;
  throw new ConfigError(
    `failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long (${limits})`,
  );
}

function shortened(name: string): string {
  return name.slice(0, LABEL_LIMIT).replace(/[-.]+$/, "");
}

export interface HostsInput {
  readonly pod: Pod;
  readonly names: PodNames;
  readonly ips: readonly string[];
  /** The node's own file: what a Pod on the node's network sees. */
  readonly nodeHosts: string;
}

const MANAGED = `# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
`;

export function hostsFile({ pod, names: { hostname, domain }, ips, nodeHosts }: HostsInput): string {
  const aliases = hostAliases(pod);
  if (pod.spec?.hostNetwork) return `# Kubernetes-managed hosts file (host network).\n${nodeHosts}${aliases}`;
  const own = domain === "" ? hostname : `${hostname}.${domain}\t${hostname}`;
  return `${MANAGED}${ips.map((ip) => `${ip}\t${own}\n`).join("")}${aliases}`;
}

function hostAliases(pod: Pod): string {
  const aliases = pod.spec?.hostAliases ?? [];
  if (aliases.length === 0) return "";
  const lines = aliases.map((a) => `${a.ip}\t${(a.hostnames ?? []).join("\t")}\n`);
  return `\n# Entries added by HostAliases.\n${lines.join("")}`;
}
