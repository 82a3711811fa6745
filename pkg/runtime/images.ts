/** What a runtime must do with images: a part of ContainerRuntime (runtime.ts), whose invariants hold here, too. */
import type { Readable } from "node:stream";

export interface ImageInfo {
  readonly id: string;
  /** Tags and digests (`registry/app@sha256:…`), as the runtime tells them. */
  readonly names: readonly string[];
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt?: number;
  /** Whom its processes run as, by the image's own word; absent: root, or (in a list) not told. */
  readonly user?: string;
}

/** How to show oneself to a registry. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
  readonly serverAddress?: string;
}

/** Of all layers that must be fetched; bytes are of those whose size is known by now. */
export interface PullProgress {
  readonly layers: number;
  readonly layersDone: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

export interface PullOptions {
  readonly auth?: RegistryAuth;
  /** Without any progress for so long it is given up. Default: the kubelet's minute. */
  readonly stallsMs?: number;
  /** As often as the runtime tells. */
  readonly onProgress?: (p: PullProgress) => void;
}

export interface BuildOptions {
  readonly tags: readonly string[];
  /** Within the context. Default: `Dockerfile`. */
  readonly dockerfile?: string;
  readonly target?: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly noCache?: boolean;
}

export interface ImageVerbs {
  /** Undefined when the image is not on this node. */
  inspectImage(image: string, signal: AbortSignal): Promise<ImageInfo | undefined>;
  /** RuntimeError reasons: InvalidImageName, ErrImagePull. */
  pullImage(image: string, signal: AbortSignal, o?: PullOptions): Promise<ImageInfo>;
  listImages(signal: AbortSignal): Promise<readonly ImageInfo[]>;
  /** Takes this name off an image; the image goes with its last name. False: a container needs it. */
  removeImage(name: string, signal: AbortSignal): Promise<boolean>;
  /** Takes in an archive as `docker save` writes it. Lines for people, as it goes; rejects when it fails. */
  loadImages(archive: Readable, signal: AbortSignal): AsyncIterable<string>;
  /** The archive, as it is read. Rejects with NotFound. */
  saveImages(names: readonly string[], signal: AbortSignal): Promise<Readable>;
  /** From a tar of the directory. Lines for people, as it goes; rejects when it fails. */
  buildImage(context: Readable, o: BuildOptions, signal: AbortSignal): AsyncIterable<string>;
}

/**
 * What a Pod's status calls the image that its container runs (`imageID`): by digest in its registry, by its own id when
 * it never was in one. Of several registries' digests that of the image's own repository.
 */
export function imageRef(info: Pick<ImageInfo, "id" | "names">, image: string): string {
  const digests = info.names.filter((n) => n.includes("@"));
  const repository = repositoryOf(image);
  return digests.find((d) => repositoryOf(d) === repository) ?? digests[0] ?? info.id;
}

/** Without tag and digest. */
export function repositoryOf(image: string): string {
  const name = image.split("@")[0] ?? "";
  const colon = name.indexOf(":", name.lastIndexOf("/") + 1);
  return colon < 0 ? name : name.slice(0, colon);
}
