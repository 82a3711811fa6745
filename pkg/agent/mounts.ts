/** What of the Pod's volumes a container sees, and where. */
import { realpath, stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { Volume, VolumeMount } from "../api/generated/types.ts";
import { claimsOf } from "../api/volumes.ts";
import type { MemoryMount, Mount } from "../runtime/isolation.ts";
import type { DeviceMapping } from "../runtime/resources.ts";
import type { DeepReadonly } from "../util/types.ts";
import { insideOf } from "./claimed-volumes.ts";
import type { ContainerMounts } from "./config.ts";
import { isInMemory, memoryVolume } from "./empty-dir.ts";
import { ConfigError, expandStrictly, type Variables } from "./env.ts";
import type { Container, Pod } from "./facts.ts";
import { sourcesOf } from "./projection.ts";
import { placeOf } from "./volumes.ts";

type AnyVolume = DeepReadonly<Volume>;
type AnyMount = DeepReadonly<VolumeMount>;

export interface MountsInput {
  readonly dataDir: string;
  readonly pod: Pod;
  readonly container: Container;
  /** The container's environment, asked for only where a mount speaks of it. */
  readonly env: () => Variables;
  /** Bytes that Pods may have; 0: not known. */
  readonly nodeMemory: number;
  /** The runtime can do it. */
  readonly recursiveReadOnly: boolean;
}

/** Throws {@link ConfigError} when a mount makes no sense. `prepareVolumes` has succeeded before. */
export async function mountsOf(i: MountsInput): Promise<ContainerMounts> {
  const mounts: Mount[] = [];
  const memoryMounts: MemoryMount[] = [];
  for (const m of i.container.volumeMounts ?? []) {
    const volume = volumeOf(i, m.name, "mount into");
    if (isInMemory(volume)) memoryMounts.push(memoryMount(i, volume, m));
    else mounts.push(await bindMount(i, volume, m));
  }
  const blockDevices = await Promise.all((i.container.volumeDevices ?? []).map((d) => blockDevice(i, d)));
  return {
    mounts,
    ...(memoryMounts.length > 0 && { memoryMounts }),
    ...(blockDevices.length > 0 && { blockDevices }),
  };
}

function volumeOf({ pod, container }: MountsInput, name: string, what: string): AnyVolume {
  const volume = pod.spec?.volumes?.find((v) => v.name === name);
  if (!volume) throw new ConfigError(`cannot find volume "${name}" to ${what} container "${container.name}"`);
  return volume;
}

async function bindMount(i: MountsInput, volume: AnyVolume, m: AnyMount): Promise<Mount> {
  const root = placeOf(i.dataDir, i.pod, volume);
  const subPath = subPathOf(i, m);
  const claimed = claimsOf(i.pod).find((x) => x.volume === m.name);
  const readOnly = (m.readOnly ?? false) || (claimed?.readOnly ?? false) || sourcesOf(volume) !== undefined;
  const { mountPropagation: propagation } = m;
  return {
    hostPath: await hostPathOf(i, { root, subPath, name: m.name, linked: claimed !== undefined }),
    containerPath: containerPath(m),
    readOnly,
    ...(isRecursive(i, m) && { recursiveReadOnly: true }),
    ...((propagation === "HostToContainer" || propagation === "Bidirectional") && { propagation }),
  };
}

/** The kubelet's words: what the machine looks like inside is nobody's business. */
async function hostPathOf(
  i: MountsInput,
  o: { root: string; subPath: string; name: string; linked: boolean },
): Promise<string> {
  if (o.subPath === "") return o.linked ? realpath(o.root) : o.root;
  try {
    return await insideOf(o.root, o.subPath);
  } catch (error) {
    const what = `failed to prepare subPath for volumeMount "${o.name}" of container "${i.container.name}"`;
    throw new ConfigError(what, { cause: error });
  }
}

function memoryMount(i: MountsInput, v: AnyVolume, m: AnyMount): MemoryMount {
  if (subPathOf(i, m) !== "")
    throw new ConfigError(
      `volumeMount "${m.name}" of container "${i.container.name}": no subPath of a volume in memory`,
    );
  const volume = memoryVolume(i.pod, v, i.nodeMemory);
  return { volume, containerPath: containerPath(m), readOnly: m.readOnly ?? false };
}

function subPathOf({ env }: MountsInput, m: AnyMount): string {
  const subPath = m.subPathExpr ? expandStrictly(m.subPathExpr, env()) : (m.subPath ?? "");
  if (isAbsolute(subPath)) throw new ConfigError(`error SubPath \`${subPath}\` must not be an absolute path`);
  if (subPath.split("/").includes(".."))
    throw new ConfigError(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
  return subPath;
}

function containerPath({ mountPath }: AnyMount): string {
  return isAbsolute(mountPath) ? mountPath : `/${mountPath}`;
}

function isRecursive(i: MountsInput, m: AnyMount): boolean {
  const wanted = m.readOnly ? (m.recursiveReadOnly ?? "Disabled") : "Disabled";
  if (wanted === "Disabled") return false;
  if (wanted === "Enabled" && !i.recursiveReadOnly) {
    const why = "not supported by the runtime: Docker 25 or later is needed";
    throw new ConfigError(`failed to resolve recursive read-only mode: recursive read-only mount is ${why}`);
  }
  return i.recursiveReadOnly;
}

/** The kernel asks for the device's own path, not for a link to it. */
async function blockDevice(i: MountsInput, d: { name: string; devicePath: string }): Promise<DeviceMapping> {
  const volume = volumeOf(i, d.name, "pass into");
  const hostPath = await realpath(placeOf(i.dataDir, i.pod, volume));
  if (!(await stat(hostPath)).isBlockDevice())
    throw new ConfigError(`cannot find volume "${d.name}" to pass into container "${i.container.name}"`);
  const claimed = claimsOf(i.pod).find((x) => x.volume === d.name);
  return { hostPath, containerPath: d.devicePath, permissions: claimed?.readOnly ? "r" : "rwm" };
}
