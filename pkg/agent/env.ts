/** A container's environment. Pure: what it refers to is given. */
import type { ConfigMap, EnvVar, FileKeySelector, Secret } from "../api/generated/types.ts";
import { parseQuantity } from "../api/quantity.ts";
import { own } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";
import { type Container, containersOf, initContainersOf, type Pod } from "./facts.ts";

export type ConfigSource = DeepReadonly<ConfigMap | Secret>;

/** Undefined: there is no such object. */
export type Lookup = (kind: "ConfigMap" | "Secret", name: string) => ConfigSource | undefined;

export interface EnvInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly lookup: Lookup;
  readonly hostIP: string;
  readonly podIP: string | undefined;
  /** Stands in for limits that are not set. */
  readonly allocatable: Readonly<Record<string, string>>;
  /** Variables of the Services that the Pod may know of: what the container says itself counts before them. */
  readonly services?: ReadonlyMap<string, string>;
  /** The text of a file in a volume that {@link envFiles} has named; undefined: it cannot be read. */
  readonly files?: (volume: string, path: string) => string | undefined;
}

/** What a field of the Pod may depend on, and what a container's resources do. */
export type FieldInput = Pick<EnvInput, "pod" | "hostIP" | "podIP">;
export type ResourceInput = Pick<EnvInput, "pod" | "container" | "allocatable">;

/** The message is the kubelet's; it becomes the waiting message of CreateContainerConfigError. */
export class ConfigError extends Error {
  readonly reason = "CreateContainerConfigError";
}

/** The address is known only once the sandbox runs: such a container is created after it. */
export function needsPodIP(c: Container): boolean {
  return (c.env ?? []).some((e) => /^status\.podIPs?$/.test(e.valueFrom?.fieldRef?.fieldPath ?? ""));
}

/** Later names win, as in the kubelet: envFrom in order, then env in order; `$(NAME)` sees what stands before it. */
export function resolveEnv(i: EnvInput): { name: string; value: string }[] {
  const env = new Map<string, string>();
  const services = i.services ?? new Map<string, string>();
  const known = { get: (name: string) => env.get(name) ?? services.get(name) };
  for (const [name, value] of envFrom(i)) env.set(name, value);
  for (const e of i.container.env ?? []) {
    const value = e.valueFrom && !e.value ? valueFrom(i, e) : expand(e.value ?? "", known);
    if (value !== undefined) env.set(e.name, value);
  }
  for (const [name, value] of services) if (!env.has(name)) env.set(name, value);
  return [...env].map(([name, value]) => ({ name, value }));
}

/** What names stand for. */
export type Variables = Pick<ReadonlyMap<string, string>, "get">;

/** Replaces `$(NAME)` by what `env` holds; unknown names stay, `$$` is a plain `$`. */
export function expand(text: string, env: Variables): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (all, what: string, name: string | undefined) =>
    what === "$" ? "$" : (env.get(name ?? "") ?? all),
  );
}

/** As {@link expand}, where a name that stands for nothing is an error. */
export function expandStrictly(text: string, env: Variables): string {
  const known = (name: string) => {
    const value = env.get(name);
    if (value === undefined) throw new ConfigError(`missing value for ${JSON.stringify(name)}`);
    return value;
  };
  return expand(text, { get: known });
}

function* envFrom(i: EnvInput): Generator<[string, string]> {
  for (const from of i.container.envFrom ?? []) {
    const ref = from.configMapRef ?? from.secretRef;
    if (!ref) continue;
    const kind = from.configMapRef ? "ConfigMap" : "Secret";
    const source = find(i, kind, ref.name ?? "", ref.optional);
    for (const [key, value] of Object.entries(source ? textOf(kind, source) : {}))
      yield [`${from.prefix ?? ""}${key}`, value];
  }
}

function valueFrom(i: EnvInput, e: DeepReadonly<EnvVar>): string | undefined {
  const from = e.valueFrom;
  if (from?.fieldRef) return podField(i, from.fieldRef.fieldPath);
  if (from?.resourceFieldRef) return resourceField(i, from.resourceFieldRef);
  if (from?.fileKeyRef) return fileKey(i, from.fileKeyRef);
  const ref = from?.configMapKeyRef ?? from?.secretKeyRef;
  if (!ref) throw new ConfigError(`environment variable ${e.name}: this source is not supported yet`);
  const kind = from?.configMapKeyRef ? "ConfigMap" : "Secret";
  const name = ref.name ?? "";
  const source = find(i, kind, name, ref.optional);
  const value = source ? own(textOf(kind, source), ref.key) : undefined;
  if (value === undefined && source && !ref.optional) {
    throw new ConfigError(`couldn't find key ${ref.key} in ${kind} ${i.pod.metadata.namespace}/${name}`);
  }
  return value;
}

/** A line `KEY=VALUE` of a file; what follows a `#` is a comment. */
function fileKey(i: EnvInput, ref: DeepReadonly<FileKeySelector>): string | undefined {
  const text = i.files?.(ref.volumeName, ref.path);
  if (text === undefined && !ref.optional) throw new ConfigError("couldn't parse env file");
  const lines = (text ?? "").split("\n").map((line) => line.replace(/#.*/, ""));
  const value = lines.find((line) => line.startsWith(`${ref.key}=`))?.slice(ref.key.length + 1);
  if (value || ref.optional) return value || undefined;
  const [key, file] = [JSON.stringify(ref.key), JSON.stringify(ref.path)];
  throw new ConfigError(`environment variable key ${key} not found in file ${file}`);
}

function find(i: EnvInput, kind: "ConfigMap" | "Secret", name: string, optional?: boolean): ConfigSource | undefined {
  const source = i.lookup(kind, name);
  if (!source && !optional) throw new ConfigError(`${kind.toLowerCase()} "${name}" not found`);
  return source;
}

function textOf(kind: "ConfigMap" | "Secret", source: ConfigSource): Readonly<Record<string, string>> {
  const data = source.data ?? {};
  if (kind === "ConfigMap") return data;
  return Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v, "base64").toString("utf8")]));
}

const PLAIN_FIELDS: Readonly<Record<string, (i: FieldInput) => string | undefined>> = {
  "metadata.name": ({ pod }) => pod.metadata.name,
  "metadata.namespace": ({ pod }) => pod.metadata.namespace,
  "metadata.uid": ({ pod }) => pod.metadata.uid,
  "spec.nodeName": ({ pod }) => pod.spec?.nodeName,
  "spec.serviceAccountName": ({ pod }) => pod.spec?.serviceAccountName,
  "status.hostIP": ({ hostIP }) => hostIP,
  "status.hostIPs": ({ hostIP }) => hostIP,
  "status.podIP": ({ podIP }) => podIP,
  "status.podIPs": ({ podIP }) => podIP,
};

/** A field of the Pod as text. Throws {@link ConfigError} for one that is not offered. */
export function podField(i: FieldInput, path: string): string {
  const plain = own(PLAIN_FIELDS, path);
  if (plain) return plain(i) ?? "";
  const [, map, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? [];
  if (key === undefined) throw new ConfigError(`unsupported fieldPath: ${path}`);
  return own(map === "labels" ? i.pod.metadata.labels : i.pod.metadata.annotations, key) ?? "";
}

/** Without a limit of its own, a container may have all that the node has. */
const FROM_NODE: ReadonlySet<string> = new Set(["cpu", "memory", "ephemeral-storage"]);

/** A request or limit of a container, in units of the divisor, rounded up. */
export function resourceField(
  i: ResourceInput,
  ref: { containerName?: string; resource: string; divisor?: string },
): string {
  const all = [...containersOf(i.pod), ...initContainersOf(i.pod)];
  const c = ref.containerName ? all.find((x) => x.name === ref.containerName) : i.container;
  const [kind, resource = ""] = ref.resource.split(".");
  const declared = kind === "requests" ? c?.resources?.requests?.[resource] : c?.resources?.limits?.[resource];
  const quantity =
    declared ?? (kind === "limits" && FROM_NODE.has(resource) ? i.allocatable[resource] : undefined) ?? "0";
  const divisor = parseQuantity(!ref.divisor || ref.divisor === "0" ? "1" : ref.divisor).nano;
  return String((parseQuantity(quantity).nano + divisor - 1n) / divisor);
}

/** The ConfigMaps and Secrets that the environment needs. */
export function envReferences(c: Container): { kind: "ConfigMap" | "Secret"; name: string }[] {
  const refs = [
    ...(c.envFrom ?? []).map((f) => ({ configMap: f.configMapRef, secret: f.secretRef })),
    ...(c.env ?? []).map((e) => ({ configMap: e.valueFrom?.configMapKeyRef, secret: e.valueFrom?.secretKeyRef })),
  ];
  return refs.flatMap(({ configMap, secret }) => [
    ...(configMap?.name ? [{ kind: "ConfigMap" as const, name: configMap.name }] : []),
    ...(secret?.name ? [{ kind: "Secret" as const, name: secret.name }] : []),
  ]);
}

/** The files of volumes that the environment needs. */
export function envFiles(c: Container): { volume: string; path: string }[] {
  return (c.env ?? []).flatMap(({ valueFrom }) =>
    valueFrom?.fileKeyRef ? [{ volume: valueFrom.fileKeyRef.volumeName, path: valueFrom.fileKeyRef.path }] : [],
  );
}
