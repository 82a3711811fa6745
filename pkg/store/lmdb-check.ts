/**
 * Whether an LMDB file is whole, found out before LMDB maps it: LMDB trusts its file, so a page that is not what it
 * should be ends the process (SIGBUS, a failed assertion) or hides records without a word.
 *
 * The layout is that of LMDB's data version 2 (mdb.c), on little-endian 64-bit machines: two meta pages, of which the
 * newer counts; from there trees of branch and leaf pages; large values on runs of overflow pages.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const MAGIC = 0xbeefc0de;
const VERSION = 2;
const PAGE_HEADER = 24;
const NODE_HEADER = 8;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
/** A tree deeper than this is a circle. */
const MAX_DEPTH = 32;

/** Of a page. */
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
/** Of a node in a leaf. */
const BIG_DATA = 1;
const SUB_TREE = 2;

/** Offsets in a meta page. */
const META = { magic: 24, version: 28, mapSize: 40, free: 48, main: 96, lastPage: 144, txnId: 152, end: 168 } as const;
/** Offsets in what describes a tree. */
const TREE = { pageSize: 0, root: 40, bytes: 48 } as const;

/** Something in the file is not as LMDB writes it. */
export class CorruptFileError extends Error {}

/** Throws CorruptFileError with what is wrong. A file that is not there or empty is fine: LMDB makes it. */
export function checkLmdbFile(file: string): void {
  withFile(file, (check) => check.run());
}

/** Only what LMDB reads when it opens the file; the rest may be written at this moment. */
export function checkLmdbHeads(file: string): void {
  withFile(file, (check) => void check.heads());
}

function withFile(file: string, check: (check: FileCheck) => void): void {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    if (size > 0) check(new FileCheck(fd, size));
  } finally {
    closeSync(fd);
  }
}

class FileCheck {
  readonly #fd: number;
  readonly #size: number;
  #pageSize = 4096;
  #lastPage = 0;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
  }

  run(): void {
    const meta = this.heads();
    this.#lastPage = meta.lastPage;
    for (const root of meta.roots) this.#tree(root, 0);
  }

  /** What the newer of the two meta pages says. */
  heads() {
    const first = this.#meta(this.#read(0, META.end));
    this.#pageSize = first.pageSize;
    const second = this.#meta(this.#read(this.#pageSize, META.end));
    return first.txnId > second.txnId ? first : second;
  }

  #meta(page: Buffer) {
    if (page.readUInt32LE(META.magic) !== MAGIC) throw new CorruptFileError("it is no LMDB file");
    const version = page.readUInt32LE(META.version) & 0xffff;
    if (version !== VERSION) throw new CorruptFileError(`it has LMDB's data version ${version} instead of ${VERSION}`);
    const pageSize = page.readUInt32LE(META.free + TREE.pageSize);
    if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) {
      throw new CorruptFileError(`its pages have ${pageSize} bytes`);
    }
    const roots = [META.free, META.main].map((at) => page.readBigUInt64LE(at + TREE.root));
    return {
      pageSize,
      roots,
      lastPage: Number(page.readBigUInt64LE(META.lastPage)),
      txnId: page.readBigUInt64LE(META.txnId),
    };
  }

  #tree(root: bigint, depth: number): void {
    if (root === NO_PAGE) return;
    if (depth > MAX_DEPTH) throw new CorruptFileError("its pages run in a circle");
    const number = this.#number(root);
    const page = this.#page(number);
    const flags = page.readUInt16LE(18);
    const leaf = (flags & LEAF) !== 0;
    if (leaf === ((flags & BRANCH) !== 0)) throw new CorruptFileError(`page ${number} is neither branch nor leaf`);
    for (const at of this.#nodes(page, number)) {
      if (leaf) this.#leafNode(page, at, depth);
      else this.#tree(childOf(page, at), depth + 1);
    }
  }

  /** Where its nodes begin. */
  *#nodes(page: Buffer, number: number): Iterable<number> {
    const lower = page.readUInt16LE(20);
    if (lower + PAGE_HEADER > page.length) throw new CorruptFileError(`page ${number} says it is longer than a page`);
    for (let i = 0; i < lower; i += 2) {
      const at = page.readUInt16LE(PAGE_HEADER + i) + PAGE_HEADER;
      if (at + NODE_HEADER > page.length) throw new CorruptFileError(`a record of page ${number} lies beyond it`);
      yield at;
    }
  }

  #leafNode(page: Buffer, at: number, depth: number): void {
    const bytes = page.readUInt32LE(at);
    const flags = page.readUInt16LE(at + 4);
    const data = at + NODE_HEADER + page.readUInt16LE(at + 6);
    const inside = (flags & BIG_DATA) !== 0 ? 8 : bytes;
    if (data + inside > page.length) throw new CorruptFileError("a record lies beyond its page");
    if ((flags & BIG_DATA) !== 0) this.#overflow(this.#number(page.readBigUInt64LE(data)), bytes);
    else if ((flags & SUB_TREE) !== 0 && bytes >= TREE.bytes) {
      this.#tree(page.readBigUInt64LE(data + TREE.root), depth + 1);
    }
  }

  #overflow(number: number, bytes: number): void {
    const header = this.#read(number * this.#pageSize, PAGE_HEADER);
    this.#isPage(header, number);
    if ((header.readUInt16LE(18) & OVERFLOW) === 0) throw new CorruptFileError(`page ${number} holds no large value`);
    const pages = header.readUInt32LE(20);
    if (pages * this.#pageSize < bytes + PAGE_HEADER)
      throw new CorruptFileError(`the value at page ${number} is cut off`);
    this.#number(BigInt(number + pages - 1));
  }

  #number(page: bigint): number {
    const number = Number(page);
    if (number < 2 || number > this.#lastPage)
      throw new CorruptFileError(`it refers to page ${page}, which it has not`);
    if ((number + 1) * this.#pageSize > this.#size)
      throw new CorruptFileError(`it is cut short: page ${number} is missing`);
    return number;
  }

  #page(number: number): Buffer {
    const page = this.#read(number * this.#pageSize, this.#pageSize);
    this.#isPage(page, number);
    return page;
  }

  #isPage(page: Buffer, number: number): void {
    const says = page.readBigUInt64LE(0);
    if (says !== BigInt(number)) throw new CorruptFileError(`page ${number} says it is page ${says}`);
  }

  #read(at: number, bytes: number): Buffer {
    const buffer = Buffer.allocUnsafe(bytes);
    if (readSync(this.#fd, buffer, 0, bytes, at) < bytes) throw new CorruptFileError("it is cut short");
    return buffer;
  }
}

/** 48 bits, the upper ones where a leaf keeps its flags. */
function childOf(page: Buffer, at: number): bigint {
  return BigInt(page.readUInt32LE(at)) | (BigInt(page.readUInt16LE(at + 4)) << 32n);
}
