/**
 * `mini-kube pki init`: all that the separate programs of a cluster need to know each other by, in one directory.
 *
 * Idempotent: what is there and good stays as it is, byte for byte; what is near its end is issued anew by the same CA.
 */
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { access, constants, mkdir, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { singleKubeconfig, type Kubeconfig } from "../../pkg/client/kubeconfig.ts";
import type { Clock } from "../../pkg/util/clock.ts";
import { newEncryptionConfig } from "../../pkg/apiserver/encryption/config.ts";
import { readIfThere, replaceFile } from "../../pkg/util/files.ts";
import { type CertRequest, ensurePki, ensureSigningKey, type KeyPair } from "../../pkg/util/pki.ts";
import { toYaml } from "../../pkg/util/yaml.ts";

export interface EtcdMember {
  readonly name: string;
  /** Names and addresses by which the others reach it. */
  readonly hosts: readonly string[];
}

export interface PkiOptions {
  /** Where the API is reached: `https://api:6443`. The first is the one that is tried first. */
  readonly servers: readonly string[];
  /** Other names by which API servers are reached. */
  readonly sans?: readonly string[];
  readonly etcd?: readonly EtcdMember[];
  readonly clock: Pick<Clock, "now">;
}

/** An authority of its own: who may speak to the store is not who may speak to the API. */
const ETCD = "etcd";
const MASTERS = ["system:masters"];
const SERVICE_ACCOUNTS = ["system:serviceaccounts", "system:serviceaccounts:kube-system"];

/** Who gets a kubeconfig, and as whom: CN is the user, O its groups. */
const USERS: Readonly<Record<string, CertRequest>> = {
  admin: { commonName: "kubernetes-admin", organizations: MASTERS, usages: ["client"] },
  scheduler: { commonName: "system:kube-scheduler", usages: ["client"] },
  "controller-manager": { commonName: "system:kube-controller-manager", usages: ["client"] },
  ingress: {
    commonName: "system:serviceaccount:kube-system:ingress-controller",
    organizations: SERVICE_ACCOUNTS,
    usages: ["client"],
  },
};

/** What the directory was made for, so that it can be renewed by who has nothing but it. */
const REQUEST = "pki.json";
type Request = Omit<PkiOptions, "clock">;
/** Is there while somebody renews. Longer than this nobody does: it was left by one who was killed. */
const RENEWING = "renewing";
const RENEWING_MS = 600_000;

/** The names of the files that were written or changed. */
export async function initPki(dir: string, { clock, ...asked }: PkiOptions): Promise<readonly string[]> {
  const etcd = asked.etcd ?? (await requestIn(dir))?.etcd;
  return issue(dir, { ...asked, ...(etcd && { etcd }) }, { clock, etcd });
}

interface Issuing {
  readonly clock: PkiOptions["clock"];
  /** Those whose certificates are issued; the others' stay as they are. */
  readonly etcd: readonly EtcdMember[] | undefined;
}

async function issue(dir: string, request: Request, { clock, etcd }: Issuing): Promise<readonly string[]> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const before = await contents(dir, request);
  const { caCert, certs } = await ensurePki(dir, USERS, clock);
  await ensureSigningKey(dir, "service-account");
  for (const [name, pair] of Object.entries(certs)) {
    await keep(
      join(dir, `${name}.kubeconfig`),
      toYaml(kubeconfigOf(name, request.servers, { ...pair, ca: caCert })),
      0o600,
    );
  }
  await keep(join(dir, REQUEST), `${JSON.stringify(request, undefined, 2)}\n`, 0o644);
  await keepFirst(join(dir, "encryption.yaml"), newEncryptionConfig);
  if (etcd) await ensurePki(join(dir, ETCD), etcdRequests(etcd), clock, "mini-kube-etcd-ca");
  const after = await contents(dir, request);
  return [...after].filter(([name, text]) => before.get(name) !== text).map(([name]) => name);
}

/**
 * As {@link initPki} with what it was told: what is near its end is issued anew, of each authority whose key is there and
 * whose directory may be written. Does nothing where `pki init` never was, and where another does it at this moment.
 */
export async function renewPki(dir: string, clock: PkiOptions["clock"]): Promise<readonly string[]> {
  const request = await requestIn(dir);
  if (!request || !existsSync(join(dir, "ca.key")) || !(await lock(join(dir, RENEWING), clock))) return [];
  try {
    const may = existsSync(join(dir, ETCD, "ca.key")) && (await isWritable(join(dir, ETCD)));
    return await issue(dir, request, { clock, etcd: may ? request.etcd : undefined });
  } finally {
    await rmdir(join(dir, RENEWING));
  }
}

async function lock(path: string, clock: PkiOptions["clock"]): Promise<boolean> {
  const since = await stat(path).catch(() => undefined);
  if (since && clock.now() - since.mtimeMs > RENEWING_MS) await rmdir(path).catch(() => {}); // another was quicker
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

const isWritable = (dir: string) =>
  access(dir, constants.W_OK).then(
    () => true,
    () => false,
  );

/** Names and addresses that API servers put into their certificates, beside their own; none where `pki init` never was. */
export async function apiServerNames(dir: string): Promise<readonly string[]> {
  const request = await requestIn(dir);
  return request ? apiNames(request) : [];
}

export const isPki = async (dir: string) => (await requestIn(dir)) !== undefined;

async function requestIn(dir: string): Promise<Request | undefined> {
  const text = await readIfThere(join(dir, REQUEST));
  return text === undefined ? undefined : (JSON.parse(text) as Request);
}

/** Of names and addresses, as a certificate has them. */
export function hostNames(hosts: readonly string[]): Required<Pick<CertRequest, "dnsNames" | "ips">> {
  return { dnsNames: hosts.filter((h) => isIP(h) === 0), ips: hosts.filter((h) => isIP(h) !== 0) };
}

function apiNames({ servers, sans = [] }: Request): string[] {
  return [...new Set([...servers.map((s) => new URL(s).hostname), ...sans])];
}

function kubeconfigOf(name: string, servers: readonly string[], identity: KeyPair & { ca: string }): Kubeconfig {
  const [server = "", ...others] = servers;
  const config = singleKubeconfig("mini-kube", { server, others, ...identity });
  return {
    ...config,
    users: (config.users ?? []).map((u) => ({ ...u, name })),
    contexts: (config.contexts ?? []).map((c) => ({ ...c, context: { ...c.context, user: name } })),
  };
}

/** Members prove themselves to each other by the certificate that they serve by. */
function etcdRequests(members: readonly EtcdMember[]): Record<string, CertRequest> {
  const request = ({ name, hosts }: EtcdMember): [string, CertRequest] => {
    const { dnsNames, ips } = hostNames([...new Set([...hosts, "localhost", "127.0.0.1"])]);
    return [name, { commonName: name, dnsNames, ips, usages: ["server", "client"] }];
  };
  return {
    ...Object.fromEntries(members.map(request)),
    client: { commonName: "mini-kube-apiserver", usages: ["client"] },
  };
}

async function keep(file: string, text: string, mode: number): Promise<void> {
  if ((await readIfThere(file)) !== text) await replaceFile(file, text, mode);
}

/** Never replaced: what was encrypted by it could not be read any more. */
async function keepFirst(file: string, make: () => string): Promise<void> {
  if ((await readIfThere(file)) === undefined) await replaceFile(file, make(), 0o600);
}

async function contents(dir: string, { etcd }: Request): Promise<ReadonlyMap<string, string>> {
  const pairs = (names: readonly string[]) => names.flatMap((n) => [`${n}.crt`, `${n}.key`]);
  const names = [
    ...pairs(["ca", ...Object.keys(USERS)]),
    "service-account.key",
    "encryption.yaml",
    REQUEST,
    ...Object.keys(USERS).map((user) => `${user}.kubeconfig`),
    ...(etcd ? pairs(["ca", "client", ...etcd.map((m) => m.name)]).map((n) => `${ETCD}/${n}`) : []),
  ];
  const found = await Promise.all(names.map(async (n) => [n, await readIfThere(join(dir, n))] as const));
  return new Map(found.flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const])));
}
