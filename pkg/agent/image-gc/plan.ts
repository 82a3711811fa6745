/**
 * Which images have to go. Pure; by the kubelet's rules: above the high mark of the disk as many as bring it down to the
 * low one, those first that were not used for longest (never used ones before all), and none that is in use or young.
 *
 *  G1  Only what the agent itself has pulled ever goes, and only while nobody has given it another name.
 */
import { canonicalImage, parseImage } from "../../api/image.ts";
import type { ImageInfo } from "../../runtime/images.ts";
import type { Pulled } from "./ledger.ts";

export interface ImageGcSettings {
  /** Percent of the disk in use. 100: never. */
  readonly highPercent: number;
  readonly lowPercent: number;
  /** None goes that is here for less. */
  readonly minimumAgeMs: number;
  /** One that was not used for so long goes though there is room. 0: never. */
  readonly maximumAgeMs: number;
}

/** The kubelet's. */
export const IMAGE_GC_DEFAULTS: ImageGcSettings = {
  highPercent: 85,
  lowPercent: 80,
  minimumAgeMs: 120_000,
  maximumAgeMs: 0,
};

/** Bytes. */
export interface Disk {
  readonly total: number;
  readonly available: number;
}

export interface ImageGcInput {
  readonly images: readonly ImageInfo[];
  /** By id. */
  readonly pulled: ReadonlyMap<string, Pulled>;
  /** Names that containers, or Pods about to start, go by. */
  readonly inUse: Iterable<string>;
  readonly disk: Disk;
  readonly now: number;
}

export interface Removal {
  readonly id: string;
  /** All of its tags: they go first. */
  readonly tags: readonly string[];
  readonly sizeBytes: number;
  readonly reason: "DiskFull" | "Unused";
}

export interface ImageGcPlan {
  /** In this order; those for the disk only until so many bytes are freed. */
  readonly removals: readonly Removal[];
  readonly bytesToFree: number;
  readonly usedPercent: number;
}

export function planImageGc(i: ImageGcInput, s: ImageGcSettings): ImageGcPlan {
  const usedPercent = percentUsed(i.disk);
  const full = usedPercent >= s.highPercent;
  const bytesToFree = full
    ? Math.max(0, Math.floor((i.disk.total * (100 - s.lowPercent)) / 100 - i.disk.available))
    : 0;
  const removable = removableImages(i, s.minimumAgeMs);
  const old = removable.filter((r) => s.maximumAgeMs > 0 && i.now - r.lastUsed > s.maximumAgeMs);
  const unused = old.map((r) => ({ ...r.removal, reason: "Unused" as const }));
  const others = bytesToFree > 0 ? removable.filter((r) => !old.includes(r)) : [];
  return { removals: [...unused, ...others.map((r) => r.removal)], bytesToFree, usedPercent };
}

export function percentUsed({ total, available }: Disk): number {
  return total > 0 ? 100 - Math.floor((available * 100) / total) : 0;
}

/** The ids of images that are in use at present. */
export function usedIds(images: readonly ImageInfo[], inUse: Iterable<string>): ReadonlySet<string> {
  const used = new Set([...inUse].flatMap((name) => [name, canonical(name)]));
  return new Set(images.filter((i) => used.has(i.id) || i.names.some((n) => used.has(canonical(n)))).map((i) => i.id));
}

interface Candidate {
  readonly removal: Removal;
  readonly lastUsed: number;
}

function removableImages(i: ImageGcInput, minimumAgeMs: number): Candidate[] {
  const used = usedIds(i.images, i.inUse);
  const candidates = i.images.flatMap(({ id, names, sizeBytes }) => {
    const ours = i.pulled.get(id);
    const tags = names.filter((n) => !n.includes("@"));
    if (!ours || used.has(id) || i.now - ours.pulledAt < minimumAgeMs) return [];
    const known = new Set(ours.names.map(canonical));
    if (!tags.every((t) => known.has(canonical(t)))) return [];
    const removal: Removal = { id, tags, sizeBytes, reason: "DiskFull" };
    return [{ removal, usedAt: ours.usedAt ?? 0, lastUsed: ours.usedAt ?? ours.pulledAt, pulledAt: ours.pulledAt }];
  });
  return candidates.toSorted((a, b) => a.usedAt - b.usedAt || a.pulledAt - b.pulledAt);
}

/** So that `nginx`, `nginx:latest` and `docker.io/library/nginx` are one. */
function canonical(name: string): string {
  const parsed = parseImage(name);
  return parsed.ok ? canonicalImage(parsed.image) : name;
}
