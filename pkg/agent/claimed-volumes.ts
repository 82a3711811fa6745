/** Volumes of a Pod that are claims: found in the API, checked, and linked to from where the Pod's other volumes are. */
import { chmod, lstat, mkdir, readlink, realpath, rename, rmdir, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { nodes } from "../api/kinds/core/node.ts";
import { persistentVolumes } from "../api/kinds/core/persistentvolume.ts";
import { persistentVolumeClaims } from "../api/kinds/core/persistentvolumeclaim.ts";
import { nameOf, uidOf } from "../api/object.ts";
import {
  claimsOf,
  HOSTPATH_PROVISIONER,
  isBound,
  isReachable,
  type PodClaim,
  PROVISIONED_BY,
  type ReadonlyVolume,
} from "../api/volumes.ts";
import type { Client } from "../client/client.ts";
import { ConfigError } from "./env.ts";
import { allContainersOf, type Pod } from "./facts.ts";

/** The volumes by their names within the Pod. */
export type ClaimedVolumes = ReadonlyMap<string, ReadonlyVolume>;

export interface ClaimSource {
  readonly client: Client;
  readonly nodeName: string;
}

/** Rejects with what the FailedMount event should say. */
export async function fetchClaimed(o: ClaimSource, pod: Pod, signal: AbortSignal): Promise<ClaimedVolumes> {
  const found = new Map<string, ReadonlyVolume>();
  for (const c of claimsOf(pod)) found.set(c.volume, await fetchOne(o, pod, c, signal));
  return found;
}

async function fetchOne(o: ClaimSource, pod: Pod, c: PodClaim, signal: AbortSignal): Promise<ReadonlyVolume> {
  const namespace = pod.metadata.namespace ?? "";
  const fail = (why: string) => new Error(`error processing PVC ${namespace}/${c.claim}: ${why}`);
  const failed = (what: string) => (error: unknown) => {
    throw fail(`failed to fetch ${what} from API server: ${(error as Error).message}`);
  };
  const claim = await o.client.resource(persistentVolumeClaims, namespace).get(c.claim, signal).catch(failed("PVC"));
  if (claim.metadata.deletionTimestamp !== undefined) throw fail("PVC is being deleted");
  if (!isBound(claim) || claim.status?.phase !== "Bound") throw fail("PVC is not bound");
  const name = claim.spec?.volumeName ?? "";
  const volume = await o.client.resource(persistentVolumes).get(name, signal).catch(failed("PV"));
  const owner = volume.spec?.claimRef?.uid;
  if (owner !== uidOf(claim)) throw fail(`PV ${name} is bound to another PVC`);
  refuseMode(pod, c, volume);
  await refuseElsewhere(o, c, volume, signal);
  return volume;
}

export function isBlock(volume: ReadonlyVolume): boolean {
  return volume.spec?.volumeMode === "Block";
}

/** A device is no directory, nor the other way round. */
function refuseMode(pod: Pod, { volume: name }: PodClaim, volume: ReadonlyVolume): void {
  const wrong = isBlock(volume) ? "volumeMounts" : "volumeDevices";
  if (!allContainersOf(pod).some((c) => c[wrong]?.some((m) => m.name === name))) return;
  throw new Error(
    `volume ${name} has volumeMode ${volume.spec?.volumeMode ?? "Filesystem"}, but is specified in ${wrong}`,
  );
}

/** A Pod that was not placed by the scheduler may stand where its volume is not; an empty directory would be a lie. */
async function refuseElsewhere(
  o: ClaimSource,
  c: PodClaim,
  volume: ReadonlyVolume,
  signal: AbortSignal,
): Promise<void> {
  if (!volume.spec?.nodeAffinity) return;
  const node = await o.client.resource(nodes).get(o.nodeName, signal);
  if (isReachable(volume, { name: o.nodeName, labels: node.metadata.labels ?? {} })) return;
  throw new Error(`MountVolume.NodeAffinity check failed for volume "${c.volume}" : no matching NodeSelectorTerms`);
}

/** Where the volume is on this machine. Throws for a kind of volume that is not mounted here. */
export function pathOf({ spec = {}, metadata }: ReadonlyVolume): { path: string; type: string } {
  if (spec.hostPath) return { path: spec.hostPath.path, type: spec.hostPath.type ?? "" };
  if (spec.local) return { path: spec.local.path, type: spec.volumeMode === "Block" ? "BlockDevice" : "Directory" };
  const kind = Object.keys(spec).find((k) => !NOT_SOURCES.has(k)) ?? "unknown";
  throw new Error(
    `PersistentVolume ${metadata.name ?? ""} is of type ${kind}; only hostPath and local are mounted here`,
  );
}

const NOT_SOURCES: ReadonlySet<string> = new Set([
  "accessModes",
  "capacity",
  "claimRef",
  "mountOptions",
  "nodeAffinity",
  "persistentVolumeReclaimPolicy",
  "storageClassName",
  "volumeAttributesClassName",
  "volumeMode",
]);

/** Rejects when the volume's time was over meanwhile. */
export async function refuseReleased({ client }: ClaimSource, { metadata }: ReadonlyVolume, signal: AbortSignal) {
  const now = await client.resource(persistentVolumes).get(metadata.name ?? "", signal);
  if (uidOf(now) !== metadata.uid || now.status?.phase === "Released") {
    throw new Error(`PersistentVolume ${metadata.name ?? ""} has been released`);
  }
}

function isOurs(volume: ReadonlyVolume): boolean {
  return volume.metadata.annotations?.[PROVISIONED_BY] === HOSTPATH_PROVISIONER;
}

/**
 * Of a volume that we are to make: as writable as an emptyDir, for any user may be the one who runs in the container. It
 * is asked for once more when it stands: whoever removes volumes may have looked just before.
 */
export async function makeDirectory(volume: ReadonlyVolume, recheck: () => Promise<void>): Promise<void> {
  const { path } = pathOf(volume);
  if (!isOurs(volume) || (await lstat(path).catch(() => undefined))) return;
  await mkdir(path, { recursive: true });
  await chmod(path, 0o777);
  try {
    await recheck();
  } catch (error) {
    await rmdir(path);
    throw error;
  }
}

/** Whether its files belong to the group that Pods name: not so a directory of the node that others use, too. */
export function takesGroup(volume: ReadonlyVolume): boolean {
  return !isBlock(volume) && (volume.spec?.local !== undefined || isOurs(volume));
}

export async function isLinkedTo(link: string, volume: ReadonlyVolume): Promise<boolean> {
  return (await readlink(link).catch(() => undefined)) === pathOf(volume).path;
}

/** Points `link` to the volume. An agent that comes after this one finds it so, without asking the API. */
export async function linkTo(link: string, volume: ReadonlyVolume): Promise<void> {
  const { path } = pathOf(volume);
  await mkdir(dirname(link), { recursive: true });
  const fresh = `${link}.${nameOf(volume)}`;
  await symlink(path, fresh);
  await rename(fresh, link);
}

/**
 * The directory `subPath` below `root`, made where it is missing. Containers write below `root`, and may put a link where
 * a directory is expected: each step is taken only if it stays inside. Throws {@link ConfigError} otherwise.
 */
export async function insideOf(root: string, subPath: string): Promise<string> {
  let at = await realpath(root);
  const base = at;
  const { mode } = await stat(base);
  for (const step of subPath.split("/").filter((s) => s !== "" && s !== ".")) {
    const next = join(at, step);
    await makeLike(next, mode);
    at = await realpath(next);
    if (at !== base && !at.startsWith(`${base}/`)) {
      throw new ConfigError(`subPath "${subPath}" leaves its volume through a symbolic link`);
    }
  }
  return at;
}

/** As open as the volume itself: the umask may not take that away. */
async function makeLike(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path);
    await chmod(path, mode & 0o7777);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
