/** A Pod's volumes as directories on this node, under `dataDir/pods/<uid>/volumes/<name>`. */
import { chmod, mkdir, readdir, readFile, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Volume } from "../api/generated/types.ts";
import { unsupportedVolume } from "../api/unsupported.ts";
import type { ReadonlyVolume } from "../api/volumes.ts";
import type { DeepReadonly } from "../util/types.ts";
import { writeAtomically } from "./atomic-files.ts";
import { isLinkedTo, linkTo, makeDirectory, pathOf, takesGroup } from "./claimed-volumes.ts";
import { isInMemory } from "./empty-dir.ts";
import { envFiles } from "./env.ts";
import type { Container, Pod } from "./facts.ts";
import { checkHostPath } from "./host-path.ts";
import { mayChangeOwners, setGroup } from "./ownership.ts";
import { descending, filesOf, type ProjectionInput, referencesOf, sourcesOf } from "./projection.ts";

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
 * files or the new ones, never a mixture. Resolves with whether files have changed.
 */
export async function prepareVolumes(dataDir: string, i: ProjectionInput): Promise<boolean> {
  const { volumes = [], securityContext } = i.pod.spec ?? {};
  if (volumes.length > 0 && securityContext?.fsGroup !== undefined && !mayChangeOwners())
    i.warn?.("FSGroupNotSet", "fsGroup is not set on volumes: the agent does not run as root");
  let changed = false;
  for (const v of volumes) {
    try {
      if ((await prepareVolume(dataDir, v, i)) === true) changed = true;
    } catch (error) {
      if (error instanceof VolumeError) throw error;
      throw new VolumeError(`MountVolume.SetUp failed for volume "${v.name}" : ${(error as Error).message}`);
    }
  }
  return changed;
}

export async function removeVolumes(dataDir: string, uid: string): Promise<void> {
  await rm(podDir(dataDir, uid), { recursive: true, force: true });
}

/** Of Pods that are known no more: their directories outlived a killed agent, or the Pod's last container. */
export async function removeStrayVolumes(dataDir: string, isKnown: (uid: string) => boolean): Promise<string[]> {
  const uids = await readdir(join(dataDir, "pods")).catch(() => []);
  const strays = uids.filter((uid) => !isKnown(uid));
  for (const uid of strays) await removeVolumes(dataDir, uid);
  return strays;
}

/** The files that a container's environment is read from; what cannot be read is left out. */
export async function readEnvFiles(
  dataDir: string,
  pod: Pod,
  c: Container,
): Promise<(volume: string, path: string) => string | undefined> {
  const texts = new Map<string, string>();
  for (const { volume: name, path } of envFiles(c)) {
    const volume = pod.spec?.volumes?.find((v) => v.name === name);
    if (!volume || isInMemory(volume)) continue;
    const text = await readInside(placeOf(dataDir, pod, volume), path).catch(() => undefined);
    if (text !== undefined) texts.set(`${name}/${path}`, text);
  }
  return (volume, path) => texts.get(`${volume}/${path}`);
}

/** Of a file that containers have made: no link leads out of the volume. */
async function readInside(root: string, path: string): Promise<string> {
  const [base, file] = await Promise.all([realpath(root), realpath(join(root, descending(path)))]);
  if (!file.startsWith(`${base}/`)) throw new Error(`${path} leaves its volume`);
  return readFile(file, "utf8");
}

function podDir(dataDir: string, uid: string): string {
  return join(dataDir, "pods", uid);
}

/** Of a volume that is not in memory. */
export function placeOf(dataDir: string, pod: Pod, v: AnyVolume): string {
  return v.hostPath ? v.hostPath.path : join(podDir(dataDir, pod.metadata.uid ?? ""), "volumes", v.name);
}

/** True: files have changed that follow what they come from. */
async function prepareVolume(dataDir: string, v: AnyVolume, i: ProjectionInput): Promise<unknown> {
  const unsupported = unsupportedVolume(v);
  if (unsupported) throw new VolumeError(`volume "${v.name}": volume type ${unsupported} is not supported`);
  const dir = placeOf(dataDir, i.pod, v);
  if (v.hostPath) return checkHostPath(dir, v.hostPath.type ?? "");
  if (v.persistentVolumeClaim || v.ephemeral) return prepareClaimed(dir, i.claimed?.get(v.name), i);
  if (isInMemory(v)) return undefined; // the sandbox holds it
  const gid = groupOf(i.pod);
  const made = await mkdir(dir, { recursive: true });
  if (!v.emptyDir) return writeAtomically(dir, await filesOf(v, i), { ...(gid !== undefined && { gid }) });
  // What containers have made of it since is theirs.
  if (made === undefined) return undefined;
  await chmod(dir, 0o777);
  if (gid !== undefined) await setGroup(dir, gid, { readOnly: false, onRootMismatch: false });
  return undefined;
}

async function prepareClaimed(link: string, volume: ReadonlyVolume | undefined, i: ProjectionInput): Promise<void> {
  if (!volume) throw new Error(`no volume was found for the claim`);
  await makeDirectory(volume, async () => i.recheck?.(volume));
  const { path, type } = pathOf(volume);
  await checkHostPath(path, type);
  if (await isLinkedTo(link, volume)) return;
  const gid = groupOf(i.pod);
  const onRootMismatch = i.pod.spec?.securityContext?.fsGroupChangePolicy === "OnRootMismatch";
  if (gid !== undefined && takesGroup(volume)) await setGroup(path, gid, { readOnly: false, onRootMismatch });
  await linkTo(link, volume);
}

/** To whom volumes are given, where that can be done. */
function groupOf(pod: Pod): number | undefined {
  return mayChangeOwners() ? pod.spec?.securityContext?.fsGroup : undefined;
}
