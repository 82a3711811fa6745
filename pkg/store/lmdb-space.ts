import { fstatSync, statfsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Database, RootDatabase } from "lmdb";

/** Left to others on the device: the log, the volumes, LMDB's lock file (touching its memory map must find room). */
export const MIN_FREE_BYTES = 1024 * 1024;

/** What puts may not use: with it deletes and compactions, which make room, still go through. */
const KEPT_FOR_DELETES = 1024 * 1024;

/** The file grows by so much at a time. */
const STEP_BYTES = 2 * 1024 * 1024;

/** Pages a transaction may touch beside those of its own values: paths of trees that split, the list of free pages. */
const OVERHEAD_BYTES = 256 * 1024;

const PAGE_NUMBER_BYTES = 8;
const META_PAGES = 2;

const ZEROS = Buffer.alloc(256 * 1024);

export interface Trees {
  readonly root: RootDatabase<Buffer, string>;
  /** `format`, `compacted`, and how far an upgrade is. */
  readonly meta: Database<string, string>;
  /** Revision → record. */
  readonly records: Database<Buffer, Buffer>;
}

interface PageCounts {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface Stats extends PageCounts {
  readonly lastPageNumber: number;
  readonly root: PageCounts;
  readonly free: PageCounts;
}

export interface Commit {
  /** Of the values written. */
  readonly bytes: number;
  /** It only deletes or compacts. */
  readonly makesRoom: boolean;
  /** It may rewrite every page of the records' tree. */
  readonly touchesAll?: boolean;
}

/**
 * Room for a commit, had before the commit begins: blocks behind the last page of LMDB's file, really written, for LMDB
 * to overwrite. LMDB must never meet a full disk itself, for lmdb-js answers that by writing a message longer than the
 * 100 bytes it has for it, and the process dies of it (mdb.c, "Attempting to write page at position …").
 */
export class LmdbSpace implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #trees: Trees;

  private constructor(path: string, file: FileHandle, trees: Trees) {
    this.#path = path;
    this.#file = file;
    this.#trees = trees;
  }

  static async open(path: string, trees: Trees): Promise<LmdbSpace> {
    return new LmdbSpace(path, await open(join(path, "data.mdb"), "r+"), trees);
  }

  /** False when the disk is too full for it. Commits come one after the other, and nothing else writes to the file. */
  async has(commit: Commit): Promise<boolean> {
    const { lastPageNumber, pageSize } = statsOf(this.#trees.root);
    const need = 2 * commit.bytes + OVERHEAD_BYTES + (commit.touchesAll ? this.#treeBytes() : 0);
    const kept = commit.makesRoom ? 0 : KEPT_FOR_DELETES;
    const end = (lastPageNumber + 1) * pageSize;
    let size = fstatSync(this.#file.fd).size;
    if (size - end < need + kept) size = await this.#grow(size, end + need + kept + STEP_BYTES - size);
    if (size - end >= need + kept) return true;
    // Pages that LMDB has freed will do, too; the blocks behind are then for what does not fit into the gaps.
    return size - end >= need && freedBytes(this.#trees) >= need;
  }

  sizes(): { sizeBytes: number; inUseBytes: number } {
    const { lastPageNumber, pageSize } = statsOf(this.#trees.root);
    const inUseBytes = (lastPageNumber + 1) * pageSize - freedBytes(this.#trees);
    return { sizeBytes: fstatSync(this.#file.fd).size, inUseBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** By as much as there is; the new size. */
  async #grow(from: number, bytes: number): Promise<number> {
    const { bavail, bsize } = statfsSync(this.#path);
    const to = from + Math.min(bytes, bavail * bsize - MIN_FREE_BYTES);
    let size = from;
    try {
      while (size < to)
        size += (await this.#file.write(ZEROS, 0, Math.min(ZEROS.length, to - size), size)).bytesWritten;
    } catch (error) {
      // Full, or over a quota: what we have got by now is all there is.
      if (!["ENOSPC", "EDQUOT", "EFBIG"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
    return size;
  }

  /** Without the large values, which have pages of their own; and the list of all pages, should they all be freed. */
  #treeBytes(): number {
    const { pageSize, lastPageNumber } = statsOf(this.#trees.root);
    const { treeBranchPageCount, treeLeafPageCount } = statsOf(this.#trees.records);
    return (treeBranchPageCount + treeLeafPageCount) * pageSize + lastPageNumber * PAGE_NUMBER_BYTES;
  }
}

/** Of pages that LMDB will use again before it makes its file longer. */
export function freedBytes(trees: Trees): number {
  const stats = statsOf(trees.root);
  const used = [stats.root, stats.free, statsOf(trees.meta), statsOf(trees.records)].map(pagesOf);
  return (stats.lastPageNumber + 1 - META_PAGES - used.reduce((a, b) => a + b)) * stats.pageSize;
}

function statsOf(db: Pick<Database, "getStats">): Stats {
  return db.getStats() as Stats;
}

function pagesOf(c: PageCounts): number {
  return c.treeBranchPageCount + c.treeLeafPageCount + c.overflowPages;
}
