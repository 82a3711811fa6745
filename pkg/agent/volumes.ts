/** A Pod's volumes as directories on this node, under `dataDir/pods/<uid>/volumes/<name>`. */
import { chmod, lstat, mkdir, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Volume } from "../api/generated/types.ts";
import { claimsOf } from "../api/volumes.ts";
import type { ContainerConfig } from "../runtime/runtime.ts";
import type { DeepReadonly } from "../util/types.ts";
import { writeAtomically } from "./atomic-files.ts";
import { insideOf, linkTo, makeDirectory, pathOf } from "./claimed-volumes.ts";
import { ConfigError } from "./env.ts";
import type { Container, Pod } from "./facts.ts";
import { descending, filesOf, type ProjectionInput, referencesOf, sourcesOf } from "./projection.ts";
import { unsupportedVolume } from "../api/unsupported.ts";

type AnyVolume = DeepReadonly<Volume>;

/** The message is what the FailedMount event says. */
export class VolumeError extends Error {
  readonly reason = "FailedMount";
}

export function volumeReferences(pod: Pod): { kind: "ConfigMap" | "Secret"; name: string }[] {
  return (pod.spec?.volumes ?? []).flatMap(referencesOf);
}

/** Whether the files of a volume follow what they come from as long as the Pod runs. */
export function hasLiveVolumes(pod: Pod): boolean {
  return (pod.spec?.volumes ?? []).some((v) => sourcesOf(v) !== undefined);
}

/**
 * Makes every volume of the Pod, and brings files up to date. Idempotent; a reader inside a container sees either the old
 * files or the new ones, never a mixture.
 */
export async function prepareVolumes(dataDir: string, i: ProjectionInput): Promise<void> {
  for (const v of i.pod.spec?.volumes ?? []) {
    try {
      await prepareVolume(dataDir, v, i);
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
    const claimed = claimsOf(pod).find((x) => x.volume === m.name);
    const readOnly = (m.readOnly ?? false) || (claimed?.readOnly ?? false) || sourcesOf(volume) !== undefined;
    const hostPath = await placeOf(root, m.subPath, claimed !== undefined || volume.emptyDir !== undefined);
    mounts.push({ hostPath, containerPath: m.mountPath, readOnly });
  }
  return mounts;
}

/** `writable`: containers may have put anything there, and what a subPath names is made where it is missing. */
async function placeOf(root: string, subPath: string | undefined, writable: boolean): Promise<string> {
  if (!writable) return subPath === undefined ? root : join(root, descending(subPath));
  return subPath === undefined ? realpath(root) : insideOf(root, descending(subPath));
}

function podDir(dataDir: string, uid: string): string {
  return join(dataDir, "pods", uid);
}

function hostPathOf(dataDir: string, pod: Pod, v: AnyVolume): string {
  return v.hostPath ? v.hostPath.path : join(podDir(dataDir, pod.metadata.uid ?? ""), "volumes", v.name);
}

async function prepareVolume(dataDir: string, v: AnyVolume, i: ProjectionInput): Promise<void> {
  const unsupported = unsupportedVolume(v);
  if (unsupported) throw new VolumeError(`volume "${v.name}": volume type ${unsupported} is not supported yet`);
  const dir = hostPathOf(dataDir, i.pod, v);
  if (v.hostPath) return checkHostPath(dir, v.hostPath.type ?? "");
  const claimed = i.claimed?.get(v.name);
  if (v.persistentVolumeClaim || v.ephemeral) {
    if (!claimed) throw new Error(`no volume was found for the claim`);
    await makeDirectory(claimed, async () => i.recheck?.(claimed));
    const { path, type } = pathOf(claimed);
    await checkHostPath(path, type);
    return linkTo(dir, claimed);
  }
  await mkdir(dir, { recursive: true });
  if (v.emptyDir) return chmod(dir, 0o777);
  await writeAtomically(dir, await filesOf(v, i));
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
