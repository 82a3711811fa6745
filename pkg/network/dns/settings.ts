/**
 * What a cluster's administrator may set, in the ConfigMap `mini-kube-dns` of `kube-system`. The names are those of
 * kube-dns' ConfigMap where that had one:
 *
 *     data:
 *       upstreamNameservers: '["192.0.2.53", "192.0.2.54:5353"]'        # instead of the host's
 *       stubDomains: '{"corp.example": ["192.0.2.60"]}'                 # who is asked for names below
 *       hosts: |                                                        # as in /etc/hosts
 *         192.0.2.7 printer.corp.example printer
 *       rewrites: '{"db.example.com": "db.prod.svc.cluster.local"}'     # one name stands for another
 *       autopath: "false"                                               # answer each name of a search by itself
 */
import { canonical, canonicalIp } from "./names.ts";

export interface UpstreamAddress {
  readonly host: string;
  readonly port: number;
}

export interface DnsSettings {
  /** Absent: the host's own. */
  readonly upstreams?: readonly UpstreamAddress[];
  /** By domain. */
  readonly stubDomains: ReadonlyMap<string, readonly UpstreamAddress[]>;
  /** Addresses by name. */
  readonly hosts: ReadonlyMap<string, readonly string[]>;
  /** What a name stands for. */
  readonly rewrites: ReadonlyMap<string, string>;
  readonly autopath: boolean;
}

export const DEFAULT_SETTINGS: DnsSettings = {
  stubDomains: new Map(),
  hosts: new Map(),
  rewrites: new Map(),
  autopath: true,
};

/** Says what is wrong, and where. */
export class SettingsError extends Error {}

const DNS_PORT = 53;
const NAME = /^(?=.{1,253}$)(_?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\._?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/;

/** Throws {@link SettingsError}. A key that is not known is a mistake, too: nobody would look for why it does nothing. */
export function parseSettings(data: Readonly<Record<string, string>>): DnsSettings {
  const keys = ["upstreamNameservers", "stubDomains", "hosts", "rewrites", "autopath"];
  const unknown = Object.keys(data).find((key) => !keys.includes(key));
  if (unknown !== undefined)
    throw new SettingsError(`${unknown}: there is no such setting; there are ${keys.join(", ")}`);
  const { upstreamNameservers, stubDomains, hosts, rewrites, autopath } = data;
  return {
    ...(upstreamNameservers !== undefined && {
      upstreams: upstreamsIn("upstreamNameservers", json(upstreamNameservers)),
    }),
    stubDomains: mapOf("stubDomains", stubDomains, (value, at) => upstreamsIn(at, value)),
    hosts: hosts === undefined ? new Map() : parseHosts(hosts),
    rewrites: mapOf("rewrites", rewrites, (value, at) => nameIn(at, value)),
    autopath: booleanIn("autopath", autopath, true),
  };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SettingsError(`${JSON.stringify(text)} is no JSON: ${error instanceof Error ? error.message : ""}`);
  }
}

function mapOf<T>(
  at: string,
  text: string | undefined,
  read: (value: unknown, at: string) => T,
): ReadonlyMap<string, T> {
  if (text === undefined) return new Map();
  const object = json(text);
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    throw new SettingsError(`${at}: must be an object, by domain name`);
  }
  return new Map(Object.entries(object).map(([key, value]) => [nameIn(at, key), read(value, `${at}.${key}`)]));
}

function nameIn(at: string, value: unknown): string {
  const name = typeof value === "string" ? canonical(value) : "";
  if (!NAME.test(name)) throw new SettingsError(`${at}: ${JSON.stringify(value)} is no domain name`);
  return name;
}

function upstreamsIn(at: string, value: unknown): readonly UpstreamAddress[] {
  if (!Array.isArray(value) || value.length === 0) throw new SettingsError(`${at}: must be a list of addresses`);
  return value.map((text) => {
    const upstream = typeof text === "string" ? parseUpstream(text) : undefined;
    if (!upstream)
      throw new SettingsError(`${at}: ${JSON.stringify(text)} is no address (192.0.2.53 or 192.0.2.53:53)`);
    return upstream;
  });
}

/** `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::1` or `[2001:db8::1]:5353`. */
export function parseUpstream(text: string): UpstreamAddress | undefined {
  const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):([1-9]\d{0,4})$/.exec(text) ?? [];
  const host = canonicalIp(v6 ?? v4 ?? text);
  const number = port === undefined ? DNS_PORT : Number(port);
  return host === undefined || number > 65_535 ? undefined : { host, port: number };
}

function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (address === "") continue;
    const ip = canonicalIp(address);
    if (ip === undefined) throw new SettingsError(`hosts: ${JSON.stringify(address)} is no IP address`);
    for (const name of names.map((n) => nameIn("hosts", n))) hosts.set(name, [...(hosts.get(name) ?? []), ip]);
  }
  return hosts;
}

function booleanIn(at: string, text: string | undefined, absent: boolean): boolean {
  if (text === undefined) return absent;
  if (text !== "true" && text !== "false") throw new SettingsError(`${at}: must be "true" or "false"`);
  return text === "true";
}
