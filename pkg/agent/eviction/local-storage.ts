/** Limits of what a Pod may leave on the disk, in the kubelet's words. Pure. */
import { isRestartableInit } from "../../api/pod.ts";
import { bytes, canonicalQuantity } from "../../api/quantity.ts";
import { type Container, containersOf, initContainersOf, type Pod } from "../facts.ts";

const STORAGE = "ephemeral-storage";

/** Bytes on the disk. */
export interface ContainerDisk {
  /** What it has written beside its volumes. */
  readonly layer: number;
  readonly logs: number;
}

export interface PodDisk {
  /** By container name. */
  readonly containers: ReadonlyMap<string, ContainerDisk>;
  /** Of emptyDirs, by volume name. */
  readonly volumes: ReadonlyMap<string, number>;
  readonly inodes: number;
}

/** Whether it has such a limit: only then is it measured. */
export function hasDiskLimit(pod: Pod): boolean {
  return emptyDirLimits(pod).length > 0 || containerLimits(pod).length > 0 || podLimit(pod) !== undefined;
}

/** Why the Pod must go; undefined: it keeps within its limits. */
export function overDiskLimit(pod: Pod, used: PodDisk): string | undefined {
  const volume = emptyDirLimits(pod).find(({ name, limit }) => (used.volumes.get(name) ?? 0) > bytes(limit));
  if (volume) return `Usage of EmptyDir volume "${volume.name}" exceeds the limit "${volume.limit}". `;
  const whole = podLimit(pod);
  if (whole !== undefined && totalDisk(used) > whole.bytes)
    return `Pod ephemeral local storage usage exceeds the total limit of containers ${whole.text}. `;
  const c = containerLimits(pod).find(({ name, limit }) => sumOf(used.containers.get(name)) > bytes(limit));
  return c && `Container ${c.name} exceeded its local ephemeral storage limit "${c.limit}". `;
}

export function totalDisk(used: PodDisk): number {
  return [...[...used.containers.values()].map(sumOf), ...used.volumes.values()].reduce((sum, n) => sum + n, 0);
}

export function sumOf(c: ContainerDisk | undefined): number {
  return c ? c.layer + c.logs : 0;
}

interface Limit {
  readonly name: string;
  readonly limit: string;
}

/** Those in memory keep themselves within theirs. */
function emptyDirLimits(pod: Pod): Limit[] {
  return (pod.spec?.volumes ?? []).flatMap(({ name, emptyDir }) => {
    const limit = emptyDir?.medium === "Memory" ? undefined : emptyDir?.sizeLimit;
    return limit !== undefined && bytes(limit) > 0 ? [{ name, limit: canonicalQuantity(limit) }] : [];
  });
}

function containerLimits(pod: Pod): Limit[] {
  return containersOf(pod).flatMap((c) => {
    const limit = limitOf(c);
    return limit === undefined ? [] : [{ name: c.name, limit: canonicalQuantity(limit) }];
  });
}

const limitOf = (c: Container) => {
  const limit = c.resources?.limits?.[STORAGE];
  return limit !== undefined && bytes(limit) > 0 ? limit : undefined;
};

/** Of those that run at one time; whoever has none bounds nothing. */
function podLimit(pod: Pod): { readonly bytes: number; readonly text: string } | undefined {
  const own = pod.spec?.resources?.limits?.[STORAGE];
  if (own !== undefined) return { bytes: bytes(own), text: canonicalQuantity(own) };
  const sum = (cs: readonly Container[]) => cs.reduce((n, c) => n + bytes(limitOf(c) ?? "0"), 0);
  const inits = initContainersOf(pod);
  const sidecars = sum(inits.filter(isRestartableInit));
  const most = Math.max(
    sidecars + sum(containersOf(pod)),
    ...inits.filter((c) => !isRestartableInit(c)).map((c) => sidecars + sum([c])),
  );
  if (most === 0) return undefined;
  return { bytes: most, text: canonicalQuantity(most % 1024 === 0 ? `${most / 1024}Ki` : `${most}`) };
}
