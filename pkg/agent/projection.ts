/**
 * Which files a volume shows: of ConfigMaps, Secrets, the Pod's own fields and tokens of its ServiceAccount. A volume of
 * one source and a projected one are the same thing.
 */
import { join, normalize } from "node:path";
import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  ServiceAccountTokenProjection,
  Volume,
  VolumeProjection,
} from "../api/generated/types.ts";
import type { ReadonlyVolume } from "../api/volumes.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { VolumeFile } from "./atomic-files.ts";
import type { ClaimedVolumes } from "./claimed-volumes.ts";
import { ConfigError, type ConfigSource, type Lookup, podField, resourceField } from "./env.ts";
import { allContainersOf, type Pod } from "./facts.ts";
import { mayChangeOwners } from "./ownership.ts";
import type { AnchorSource } from "./trust-anchors.ts";

type Source = DeepReadonly<VolumeProjection>;
export type TokenSource = DeepReadonly<ServiceAccountTokenProjection>;

/** What the files of a volume come from. */
export interface ProjectionInput {
  readonly pod: Pod;
  readonly lookup: Lookup;
  /** A token for the Pod; rejects when there is none to be had. */
  readonly token: (source: TokenSource) => Promise<string>;
  /** The certificates of ClusterTrustBundles, as PEM; rejects when there are none to be had. */
  readonly anchors?: (source: AnchorSource) => Promise<string>;
  /** What its claims stand for; none where it has none. */
  readonly claimed?: ClaimedVolumes;
  /** Rejects when a claimed volume is to be used no more. */
  readonly recheck?: (volume: ReadonlyVolume) => Promise<void>;
  readonly hostIP: string;
  readonly allocatable: Readonly<Record<string, string>>;
  /** Told of what had to be left undone. */
  readonly warn?: (reason: string, message: string) => void;
}

const DEFAULT_MODE = 0o644;
/** Of a token whose container does not run as root: only its user, or its group, may read it. */
const OWN_TOKEN_MODE = 0o600;

/** Undefined for a volume that is no files of ours (emptyDir, hostPath, claims). */
export function sourcesOf(v: DeepReadonly<Volume>): { sources: readonly Source[]; mode: number } | undefined {
  const { configMap, secret, downwardAPI, projected } = v;
  if (projected) return { sources: projected.sources ?? [], mode: projected.defaultMode ?? DEFAULT_MODE };
  if (configMap) return { sources: [{ configMap }], mode: configMap.defaultMode ?? DEFAULT_MODE };
  if (downwardAPI) return { sources: [{ downwardAPI }], mode: downwardAPI.defaultMode ?? DEFAULT_MODE };
  if (!secret) return undefined;
  const { secretName: name = "", items, optional } = secret;
  const source = { name, ...(items && { items }), ...(optional !== undefined && { optional }) };
  return { sources: [{ secret: source }], mode: secret.defaultMode ?? DEFAULT_MODE };
}

/** The ConfigMaps and Secrets that the files of a volume come from. */
export function referencesOf(v: DeepReadonly<Volume>): { kind: "ConfigMap" | "Secret"; name: string }[] {
  return (sourcesOf(v)?.sources ?? []).flatMap((s) => [
    ...(s.configMap?.name ? [{ kind: "ConfigMap" as const, name: s.configMap.name }] : []),
    ...(s.secret?.name ? [{ kind: "Secret" as const, name: s.secret.name }] : []),
  ]);
}

/** In the order of their names, a later source before an earlier one of the same path. Throws for what is missing. */
export async function filesOf(v: DeepReadonly<Volume>, i: ProjectionInput): Promise<readonly VolumeFile[]> {
  const { sources, mode } = sourcesOf(v) ?? { sources: [], mode: DEFAULT_MODE };
  const files = new Map<string, VolumeFile>();
  for (const source of sources) for (const f of await filesOfSource(source, mode, i)) files.set(f.path, f);
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function filesOfSource(s: Source, mode: number, i: ProjectionInput): Promise<VolumeFile[]> {
  if (s.configMap) return filesOfKeys("ConfigMap", s.configMap, mode, i.lookup);
  if (s.secret) return filesOfKeys("Secret", s.secret, mode, i.lookup);
  if (s.downwardAPI) return (s.downwardAPI.items ?? []).map((item) => fileOfField(item, mode, i));
  if (s.serviceAccountToken) return [await fileOfToken(s.serviceAccountToken, mode, i)];
  if (s.clusterTrustBundle) return [await fileOfAnchors(s.clusterTrustBundle, mode, i)];
  throw new Error(`projected source ${Object.keys(s).join(", ")} is not supported`);
}

interface KeySource {
  readonly name?: string;
  readonly items?: DeepReadonly<KeyToPath[]>;
  readonly optional?: boolean;
}

function filesOfKeys(kind: "ConfigMap" | "Secret", s: KeySource, mode: number, lookup: Lookup): VolumeFile[] {
  const source = lookup(kind, s.name ?? "");
  if (!source && !s.optional) throw new Error(`${kind.toLowerCase()} "${s.name}" not found`);
  const data = source ? bytesOf(kind, source) : new Map<string, Buffer>();
  if (!s.items?.length) return [...data].map(([path, bytes]) => ({ path, data: bytes, mode }));
  return s.items.flatMap((item) => {
    const bytes = data.get(item.key);
    if (bytes) return [{ path: descending(item.path), data: bytes, mode: item.mode ?? mode }];
    if (s.optional) return [];
    throw new Error(`references non-existent ${kind === "Secret" ? "secret" : "config"} key: ${item.key}`);
  });
}

function bytesOf(kind: "ConfigMap" | "Secret", source: ConfigSource): Map<string, Buffer> {
  const encoding = kind === "Secret" ? "base64" : "utf8";
  const text = Object.entries(source.data ?? {}).map(([k, v]): [string, Buffer] => [k, Buffer.from(v, encoding)]);
  const binary = "binaryData" in source ? Object.entries(source.binaryData ?? {}) : [];
  return new Map([...text, ...binary.map(([k, v]): [string, Buffer] => [k, Buffer.from(v, "base64")])]);
}

function fileOfField(item: DeepReadonly<DownwardAPIVolumeFile>, mode: number, i: ProjectionInput): VolumeFile {
  const text = item.fieldRef ? fieldText(item.fieldRef.fieldPath, i) : resourceText(item, i);
  return { path: descending(item.path), data: Buffer.from(text), mode: item.mode ?? mode };
}

/** All labels or annotations are a line each, the values quoted. */
function fieldText(path: string, i: ProjectionInput): string {
  if (path !== "metadata.labels" && path !== "metadata.annotations") return podField({ ...i, podIP: undefined }, path);
  const all = path === "metadata.labels" ? i.pod.metadata.labels : i.pod.metadata.annotations;
  return Object.entries(all ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}

function resourceText({ resourceFieldRef: ref }: DeepReadonly<DownwardAPIVolumeFile>, i: ProjectionInput): string {
  const container = allContainersOf(i.pod).find((c) => c.name === ref?.containerName);
  if (!ref || !container) throw new Error(`container ${ref?.containerName ?? ""} of a resourceFieldRef not found`);
  return resourceField({ ...i, container }, ref);
}

async function fileOfAnchors(source: AnchorSource, mode: number, i: ProjectionInput): Promise<VolumeFile> {
  const text = (await i.anchors?.(source)) ?? "";
  return { path: descending(source.path), data: Buffer.from(text), mode };
}

async function fileOfToken(source: TokenSource, mode: number, i: ProjectionInput): Promise<VolumeFile> {
  const uid = mayChangeOwners() ? commonUser(i.pod) : undefined;
  const data = Buffer.from(await i.token(source));
  const path = descending(source.path);
  const own = uid !== undefined || (mayChangeOwners() && i.pod.spec?.securityContext?.fsGroup !== undefined);
  return { path, data, mode: own ? OWN_TOKEN_MODE : mode, ...(uid !== undefined && { uid }) };
}

/** The user that all containers run as, if the spec says so. */
function commonUser(pod: Pod): number | undefined {
  const [first, ...others] = allContainersOf(pod).map((c) => c.securityContext?.runAsUser);
  const uid = first ?? pod.spec?.securityContext?.runAsUser;
  return others.every((u) => (u ?? pod.spec?.securityContext?.runAsUser) === uid) ? uid : undefined;
}

/** Throws {@link ConfigError} for a path that leaves the volume. */
export function descending(path: string): string {
  const clean = normalize(join(path));
  if (clean.startsWith("/") || clean.split("/").includes("..")) {
    throw new ConfigError(`path ${path}: must stay inside the volume`);
  }
  return clean;
}
