/** A Pod's volumes as directories on this node, under `dataDir/pods/<uid>/volumes/<name>`. */
import { chmod, lstat, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import type { KeyToPath, Volume } from "../api/generated/types.ts";
import type { ContainerConfig } from "../runtime/runtime.ts";
import type { DeepReadonly } from "../util/types.ts";
import { ConfigError, type ConfigSource, type Lookup } from "./env.ts";
import type { Container, Pod } from "./facts.ts";
import { unsupportedVolume } from "./unsupported.ts";

type AnyVolume = DeepReadonly<Volume>;

/** The message is what the FailedMount event says. */
export class VolumeError extends Error {
  readonly reason = "FailedMount";
}

export function volumeReferences(pod: Pod): { kind: "ConfigMap" | "Secret"; name: string }[] {
  return (pod.spec?.volumes ?? []).flatMap((v) => [
    ...(v.configMap?.name ? [{ kind: "ConfigMap" as const, name: v.configMap.name }] : []),
    ...(v.secret?.secretName ? [{ kind: "Secret" as const, name: v.secret.secretName }] : []),
  ]);
}

/**
 * Makes every volume of the Pod, and brings ConfigMaps and Secrets up to date. Idempotent; a reader inside a container
 * sees either the old files or the new ones, never a mixture.
 */
export async function prepareVolumes(dataDir: string, pod: Pod, lookup: Lookup): Promise<void> {
  for (const v of pod.spec?.volumes ?? []) {
    try {
      await prepareVolume(dataDir, pod, v, lookup);
    } catch (error) {
      if (error instanceof VolumeError) throw error;
      throw new VolumeError(`MountVolume.SetUp failed for volume "${v.name}" : ${(error as Error).message}`);
    }
  }
}

export async function removeVolumes(dataDir: string, uid: string): Promise<void> {
  await rm(podDir(dataDir, uid), { recursive: true, force: true });
}

/** Of Pods that are known no more: their directories outlived a killed agent, or the Pod's last container. */
export async function removeStrayVolumes(dataDir: string, isKnown: (uid: string) => boolean): Promise<void> {
  const uids = await readdir(join(dataDir, "pods")).catch(() => []);
  for (const uid of uids) if (!isKnown(uid)) await removeVolumes(dataDir, uid);
}

/** Throws {@link ConfigError} when a mount makes no sense. `prepareVolumes` has succeeded before. */
export async function mountsOf(dataDir: string, pod: Pod, c: Container): Promise<ContainerConfig["mounts"]> {
  const mounts: { hostPath: string; containerPath: string; readOnly: boolean }[] = [];
  for (const m of c.volumeMounts ?? []) {
    const volume = pod.spec?.volumes?.find((v) => v.name === m.name);
    if (!volume) throw new ConfigError(`cannot find volume "${m.name}" to mount into container "${c.name}"`);
    const root = hostPathOf(dataDir, pod, volume);
    const inside = m.subPath === undefined ? root : join(root, safeRelative(m.subPath));
    if (m.subPath !== undefined && volume.emptyDir) await mkdir(inside, { recursive: true });
    const readOnly = (m.readOnly ?? false) || volume.configMap !== undefined || volume.secret !== undefined;
    mounts.push({ hostPath: inside, containerPath: m.mountPath, readOnly });
  }
  return mounts;
}

function podDir(dataDir: string, uid: string): string {
  return join(dataDir, "pods", uid);
}

function hostPathOf(dataDir: string, pod: Pod, v: AnyVolume): string {
  return v.hostPath ? v.hostPath.path : join(podDir(dataDir, pod.metadata.uid ?? ""), "volumes", v.name);
}

function safeRelative(path: string): string {
  const clean = normalize(path);
  if (clean.startsWith("/") || clean.split("/").includes(".."))
    throw new ConfigError(`subPath ${path}: must stay inside the volume`);
  return clean;
}

async function prepareVolume(dataDir: string, pod: Pod, v: AnyVolume, lookup: Lookup): Promise<void> {
  const unsupported = unsupportedVolume(v);
  if (unsupported) throw new VolumeError(`volume "${v.name}": volume type ${unsupported} is not supported yet`);
  const dir = hostPathOf(dataDir, pod, v);
  if (v.hostPath) return checkHostPath(dir, v.hostPath.type ?? "");
  await mkdir(dir, { recursive: true });
  if (v.emptyDir) return chmod(dir, 0o777);
  const { configMap, secret } = v;
  if (configMap) await project({ ...configMap, dir, kind: "ConfigMap", name: configMap.name ?? "", lookup, pod });
  if (secret) await project({ ...secret, dir, kind: "Secret", name: secret.secretName ?? "", lookup, pod });
}

async function checkHostPath(path: string, type: string): Promise<void> {
  if (type === "") return;
  const found = await lstat(path).catch(() => undefined);
  if (!found && type === "DirectoryOrCreate") return void (await mkdir(path, { recursive: true, mode: 0o755 }));
  if (!found && type === "FileOrCreate") return writeFile(path, "", { mode: 0o644 });
  const ok: Readonly<Record<string, boolean | undefined>> = {
    Directory: found?.isDirectory(),
    DirectoryOrCreate: found?.isDirectory(),
    File: found?.isFile(),
    FileOrCreate: found?.isFile(),
    Socket: found?.isSocket(),
    CharDevice: found?.isCharacterDevice(),
    BlockDevice: found?.isBlockDevice(),
  };
  if (!ok[type]) throw new Error(`hostPath type check failed: ${path} is not a ${type}`);
}

interface Projection {
  readonly dir: string;
  readonly kind: "ConfigMap" | "Secret";
  readonly name: string;
  readonly lookup: Lookup;
  readonly pod: Pod;
  readonly items?: DeepReadonly<KeyToPath[]>;
  readonly defaultMode?: number;
  readonly optional?: boolean;
}

/** Into a fresh directory, then `..data` is turned to it in one rename; the names in `dir` point through `..data`. */
async function project(p: Projection): Promise<void> {
  const files = filesOf(p);
  const version = `..${(p.lookup(p.kind, p.name)?.metadata.resourceVersion ?? "none").replace(/\W/g, "")}`;
  const target = join(p.dir, version);
  if ((await readlink(join(p.dir, "..data")).catch(() => "")) === version) return;
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  for (const f of files) {
    await mkdir(dirname(join(target, f.path)), { recursive: true });
    await writeFile(join(target, f.path), f.data, { mode: f.mode });
    await chmod(join(target, f.path), f.mode);
  }
  const next = join(p.dir, "..data_tmp");
  await rm(next, { force: true });
  await symlink(version, next);
  await rename(next, join(p.dir, "..data"));
  await link(p.dir, new Set(files.map((f) => f.path.split("/")[0] ?? "")));
  for (const old of await readdir(p.dir)) {
    if (old.startsWith("..") && old !== "..data" && old !== version)
      await rm(join(p.dir, old), { recursive: true, force: true });
  }
}

async function link(dir: string, names: ReadonlySet<string>): Promise<void> {
  const there = (await readdir(dir)).filter((n) => !n.startsWith(".."));
  for (const gone of there.filter((n) => !names.has(n))) await rm(join(dir, gone), { force: true });
  for (const name of names) if (!there.includes(name)) await symlink(join("..data", name), join(dir, name));
}

function filesOf(p: Projection): { path: string; data: Buffer; mode: number }[] {
  const source = p.lookup(p.kind, p.name);
  if (!source && !p.optional) throw new Error(`${p.kind.toLowerCase()} "${p.name}" not found`);
  const data = source ? bytesOf(p.kind, source) : new Map<string, Buffer>();
  const mode = p.defaultMode ?? 0o644;
  if (!p.items?.length) return [...data].map(([path, bytes]) => ({ path, data: bytes, mode }));
  return p.items.flatMap((item) => {
    const bytes = data.get(item.key);
    if (bytes) return [{ path: safeRelative(item.path), data: bytes, mode: item.mode ?? mode }];
    if (p.optional) return [];
    throw new Error(`references non-existent ${p.kind === "Secret" ? "secret" : "config"} key: ${item.key}`);
  });
}

function bytesOf(kind: "ConfigMap" | "Secret", source: ConfigSource): Map<string, Buffer> {
  const text = Object.entries(source.data ?? {}).map(([k, v]): [string, Buffer] => [
    k,
    Buffer.from(v, kind === "Secret" ? "base64" : "utf8"),
  ]);
  const binary = "binaryData" in source ? Object.entries(source.binaryData ?? {}) : [];
  return new Map([...text, ...binary.map(([k, v]): [string, Buffer] => [k, Buffer.from(v, "base64")])]);
}
