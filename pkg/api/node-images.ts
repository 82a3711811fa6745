/** What an agent tells of its node's images (`/images`), and what it says while it loads or builds one. */

export interface NodeImage {
  readonly id: string;
  /** Tags and digests. */
  readonly names: readonly string[];
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt?: number;
  /** Pods whose containers have it. */
  readonly usedBy: readonly { readonly namespace: string; readonly name: string }[];
}

export interface NodeImageList {
  readonly images: readonly NodeImage[];
}

/** One line of JSON each, as it goes. The last one says how it ended. */
export type ImageWork = { readonly line: string } | { readonly error: string } | { readonly done: true };
