/** A Pod's /etc/resolv.conf, as the kubelet forms it. Pure. */
import { isIPv4 } from "node:net";
import type { Pod } from "./facts.ts";

export interface ResolvConf {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface DnsInput {
  readonly pod: Pod;
  /** Addresses of the cluster's DNS; none: it has none that Pods could reach. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** The node's own. */
  readonly host: ResolvConf;
}

/** The C library reads no more of them. */
const MAX_SERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARACTERS = 2048;
const MAX_DOMAIN_CHARACTERS = 253;

/** Undefined: what the runtime gives is right. The warnings are the kubelet's words. */
export function podDns(i: DnsInput): { conf: ResolvConf; warnings: readonly string[] } | undefined {
  const base = baseOf(i);
  const own = i.pod.spec?.dnsConfig;
  if (!base && !own) return undefined;
  const { servers, searches, options } = base ?? i.host;
  const given = (own?.options ?? []).map((o): [string, string] => [o.name ?? "", o.value ?? ""]);
  const merged = new Map([...options.map(splitOption), ...given]);
  return withinLimits({
    servers: unique([...servers, ...(own?.nameservers ?? [])]),
    searches: unique([...searches, ...(own?.searches ?? [])]),
    options: [...merged].map(([name, value]) => (value === "" ? name : `${name}:${value}`)),
  });
}

/** Undefined: whatever the runtime gives. */
function baseOf({ pod, clusterDns, clusterDomain, host }: DnsInput): ResolvConf | undefined {
  const { hostNetwork = false, dnsPolicy = "ClusterFirst" } = pod.spec ?? {};
  if (dnsPolicy === "None") return { servers: [], searches: [], options: [] };
  const ofCluster = dnsPolicy === "ClusterFirstWithHostNet" || (dnsPolicy === "ClusterFirst" && !hostNetwork);
  if (ofCluster) {
    if (clusterDns.length === 0) return undefined;
    const own = [`${pod.metadata.namespace ?? ""}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
    return { servers: clusterDns, searches: unique([...own, ...host.searches]), options: ["ndots:5"] };
  }
  // A resolver on the node's loopback is out of reach from a network of the Pod's own.
  return hostNetwork || host.servers.every(isLoopback) ? undefined : host;
}

export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let searches: readonly string[] = [];
  let options: readonly string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && words[0] !== undefined) servers.push(words[0]);
    if (keyword === "search" || keyword === "domain") searches = words.map((w) => w.replace(/\.$/, ""));
    if (keyword === "options") options = words;
  }
  return { servers, searches: searches.filter((s) => s !== ""), options };
}

export function resolvConfText({ servers, searches, options }: ResolvConf): string {
  return [
    ...(searches.length > 0 ? [`search ${searches.join(" ")}\n`] : []),
    ...servers.map((s) => `nameserver ${s}\n`),
    ...(options.length > 0 ? [`options ${options.join(" ")}\n`] : []),
  ].join("");
}

export function isLoopback(ip: string): boolean {
  return isIPv4(ip) ? ip.startsWith("127.") : ip === "::1";
}

function withinLimits(conf: ResolvConf): { conf: ResolvConf; warnings: readonly string[] } {
  const servers = conf.servers.slice(0, MAX_SERVERS);
  const searches = shorterSearches(conf.searches);
  const tooMany = (what: string, rest: string, applied: readonly string[]) =>
    `${what} limits were exceeded, some ${rest}: ${applied.join(" ")}`;
  return {
    conf: { ...conf, servers, searches },
    warnings: [
      ...(servers.length < conf.servers.length
        ? [tooMany("Nameserver", "nameservers have been omitted, the applied nameserver line is", servers)]
        : []),
      ...(searches.length < conf.searches.length
        ? [tooMany("Search Line", "search paths have been omitted, the applied search line is", searches)]
        : []),
    ],
  };
}

function shorterSearches(all: readonly string[]): readonly string[] {
  const kept = all.slice(0, MAX_SEARCHES).filter((s) => s.length <= MAX_DOMAIN_CHARACTERS);
  while (kept.join(" ").length > MAX_SEARCH_CHARACTERS) kept.pop();
  return kept;
}

function splitOption(option: string): [string, string] {
  const at = option.indexOf(":");
  return at < 0 ? [option, ""] : [option.slice(0, at), option.slice(at + 1)];
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
