/** The kubeconfig file: where it is looked for, what a connection needs of it, and how ours is written into it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { parseYamlDocuments, toYaml } from "../util/yaml.ts";

/** Of our own, beside `server`: other API servers of the same cluster. */
const OTHERS = "mini-kube.io/servers";

export interface ClusterEntry {
  server: string;
  [OTHERS]?: readonly string[];
  "certificate-authority-data"?: string;
  "certificate-authority"?: string;
  "insecure-skip-tls-verify"?: boolean;
  "tls-server-name"?: string;
}

export interface UserEntry {
  "client-certificate-data"?: string;
  "client-certificate"?: string;
  "client-key-data"?: string;
  "client-key"?: string;
  token?: string;
  tokenFile?: string;
}

export interface ContextEntry {
  cluster: string;
  user: string;
  namespace?: string;
}

export interface Kubeconfig {
  apiVersion?: string;
  kind?: string;
  preferences?: object;
  clusters?: { name: string; cluster: ClusterEntry }[];
  users?: { name: string; user: UserEntry }[];
  contexts?: { name: string; context: ContextEntry }[];
  "current-context"?: string;
}

/** What it takes to talk to a server; PEM texts, not file names. */
export interface Connection {
  /** `https://127.0.0.1:6443` */
  readonly server: string;
  /** Others of the same cluster, asked when that one does not answer. */
  readonly others?: readonly string[];
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  readonly insecure?: boolean;
  readonly serverName?: string;
}

/** `message` says which file and what to do. */
export class KubeconfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "KubeconfigError";
  }
}

export interface KubeconfigPlace {
  /** In order of precedence. */
  readonly files: readonly string[];
  /** Named by hand: then it has to exist. */
  readonly required: boolean;
}

/** `--kubeconfig`, else $KUBECONFIG (a list), else $MINI_KUBE_HOME/kubeconfig, else ~/.mini-kube/kubeconfig. */
export function kubeconfigPlace(o: {
  flag?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  userHome: string;
}): KubeconfigPlace {
  if (o.flag) return { files: [resolve(o.flag)], required: true };
  const listed = (o.env.KUBECONFIG ?? "").split(delimiter).filter((f) => f !== "");
  if (listed.length > 0) return { files: listed.map((f) => resolve(f)), required: false };
  const home = o.env.MINI_KUBE_HOME ?? join(o.userHome, ".mini-kube");
  return { files: [resolve(home, "kubeconfig")], required: false };
}

/** All files as one; of what several define, the first counts. Relative file names in it are made absolute. */
export function loadKubeconfig(place: KubeconfigPlace): Kubeconfig {
  let merged: Kubeconfig | undefined;
  for (const file of place.files) {
    const config = readKubeconfig(file);
    if (config) merged = merged ? mergeKubeconfig(config, merged) : config;
  }
  if (merged) return merged;
  const next = place.required ? "check the path" : "start a cluster with: mini-kube up";
  throw new KubeconfigError(`there is no kubeconfig at ${place.files.join(" or ")}\n${next}`);
}

/** Undefined when there is no such file. */
export function readKubeconfig(file: string): Kubeconfig | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new KubeconfigError(`the kubeconfig ${file} cannot be read: ${(error as Error).message}`);
  }
  const value = parseYamlDocuments(text, file)[0]?.value ?? {};
  if (typeof value !== "object" || Array.isArray(value)) throw new KubeconfigError(`${file} is no kubeconfig`);
  const config = value as Kubeconfig;
  const absolute = (name: string | undefined) => (name === undefined ? undefined : resolve(dirname(file), name));
  for (const { cluster } of config.clusters ?? []) absolutise(cluster, ["certificate-authority"], absolute);
  for (const { user } of config.users ?? []) {
    absolutise(user, ["client-certificate", "client-key", "tokenFile"], absolute);
  }
  return config;
}

function absolutise<T extends object>(entry: T, keys: readonly (keyof T)[], f: (n: string | undefined) => unknown) {
  for (const key of keys) {
    const value = entry[key];
    if (typeof value === "string") entry[key] = f(value) as T[typeof key];
  }
}

/** `into` with the clusters, users, contexts of `from` put in; entries of the same name are `into`'s. */
export function mergeKubeconfig(from: Kubeconfig, into: Kubeconfig): Kubeconfig {
  const current = into["current-context"] || from["current-context"];
  return {
    apiVersion: "v1",
    kind: "Config",
    ...from,
    ...into,
    clusters: union(into.clusters, from.clusters),
    users: union(into.users, from.users),
    contexts: union(into.contexts, from.contexts),
    ...(current && { "current-context": current }),
  };
}

function union<T extends { name: string }>(first: T[] = [], second: T[] = []): T[] {
  const names = new Set(first.map((e) => e.name));
  return [...first, ...second.filter((e) => !names.has(e.name))];
}

/** Whole or not at all, and for the owner only: it holds a private key. */
export function writeKubeconfig(file: string, config: Kubeconfig): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.new`;
  writeFileSync(temporary, toYaml({ apiVersion: "v1", kind: "Config", ...config }), { mode: 0o600 });
  renameSync(temporary, file);
}

/** A kubeconfig of one cluster, one user and one context, all called `name`. */
export function singleKubeconfig(name: string, c: Connection, namespace?: string): Kubeconfig {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: clusterOf(c) }],
    users: [
      {
        name,
        user: {
          ...(c.cert && { "client-certificate-data": data(c.cert) }),
          ...(c.key && { "client-key-data": data(c.key) }),
          ...(c.token && { token: c.token }),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name, ...(namespace && { namespace }) } }],
    "current-context": name,
  };
}

/** As {@link singleKubeconfig}, for a user whose certificate and key are in one file and change there. */
export function fileKubeconfig(name: string, c: Connection, pairFile: string): Kubeconfig {
  const users = [{ name, user: { "client-certificate": pairFile, "client-key": pairFile } }];
  return { ...singleKubeconfig(name, c), users };
}

const data = (text: string | undefined) => Buffer.from(text ?? "").toString("base64");

function clusterOf({ ca, server, others = [] }: Connection): ClusterEntry {
  return {
    ...(ca !== undefined && { "certificate-authority-data": data(ca) }),
    server,
    ...(others.length > 0 && { [OTHERS]: others }),
  };
}

/** A context with what it points at, certificates read. */
export interface ResolvedContext {
  readonly name: string;
  readonly namespace: string;
  readonly connection: Connection;
}

export function resolveContext(config: Kubeconfig, wanted?: string): ResolvedContext {
  const name = wanted ?? config["current-context"];
  if (!name) throw new KubeconfigError("the kubeconfig has no current-context; choose one with --context");
  const context = config.contexts?.find((c) => c.name === name)?.context;
  if (!context) throw new KubeconfigError(`context ${JSON.stringify(name)} does not exist in the kubeconfig`);
  const cluster = config.clusters?.find((c) => c.name === context.cluster)?.cluster;
  if (!cluster?.server) throw new KubeconfigError(`cluster ${JSON.stringify(context.cluster)} has no server`);
  const user = config.users?.find((u) => u.name === context.user)?.user ?? {};
  const ca = pem(cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const cert = pem(user["client-certificate-data"], user["client-certificate"]);
  const key = pem(user["client-key-data"], user["client-key"]);
  const token = user.token ?? (user.tokenFile === undefined ? undefined : readText(user.tokenFile).trim());
  return {
    name,
    namespace: context.namespace ?? "default",
    connection: {
      server: cluster.server,
      ...(cluster[OTHERS] && { others: cluster[OTHERS] }),
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(token !== undefined && { token }),
      ...(cluster["insecure-skip-tls-verify"] === true && { insecure: true }),
      ...(cluster["tls-server-name"] && { serverName: cluster["tls-server-name"] }),
    },
  };
}

function pem(data: string | undefined, file: string | undefined): string | undefined {
  if (data) return Buffer.from(data, "base64").toString("utf8");
  return file === undefined ? undefined : readText(file);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new KubeconfigError(`a file the kubeconfig names cannot be read: ${(error as Error).message}`);
  }
}
