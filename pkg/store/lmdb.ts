import { existsSync, mkdirSync, realpathSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import type { WatchLimits } from "./event-queue.ts";
import { CorruptFileError, checkLmdbFile, checkLmdbHeads } from "./lmdb-check.ts";
import { compactFile } from "./lmdb-compact.ts";
import { FORMAT, upgradeFormat } from "./lmdb-format.ts";
import { type Commit, LmdbSpace, MIN_FREE_BYTES, type Trees } from "./lmdb-space.ts";
import { MvccStore } from "./mvcc.ts";
import { CorruptRecordError, checkRecord, decodeOps, encodeOps, encodeRevision } from "./record-codec.ts";
import type { LogOp, LogRecord, RevisionLog } from "./revision-log.ts";
import { type Revision, type StoreMaintenance, StoreUnavailableError } from "./store.ts";

const DATA = "data.mdb";
const NO_SPACE = "no space left for the store";

/** Of this process; another one is found through LMDB's reader table. */
const openDirs = new Set<string>();

/**
 * The embedded default: an LMDB file, one process at a time.
 *
 * Durable: a commit is written and synced before its transactions resolve (LMDB's plain mode: data pages, fdatasync,
 * then the meta page with O_DSYNC), so what was acknowledged survives kill -9 and a power cut. A crash at any point
 * leaves the last complete commit; there is no recovery step.
 */
export class LmdbStore extends MvccStore {
  readonly #dir: string;
  readonly maintenance: StoreMaintenance;

  private constructor(dir: string, log: LmdbLog, o: WatchLimits) {
    super(log, o);
    this.#dir = dir;
    this.maintenance = { status: async () => ({ kind: "lmdb", ...log.sizes(), members: [] }) };
  }

  /**
   * Opens the directory, made if need be (mode 0700). Everything is read once, to rebuild the index; a file that is not
   * whole is refused, and left as it is.
   */
  static async open(dir: string, o: WatchLimits = {}): Promise<LmdbStore> {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const path = realpathSync(dir);
    if (!existsSync(join(path, DATA)) && freeBytes(path) < MIN_FREE_BYTES) {
      throw new StoreUnavailableError(`no space left on the device of ${dir}`, { full: true });
    }
    if (openDirs.has(path)) throw new StoreUnavailableError(`the store in ${dir} is already open in this process`);
    openDirs.add(path);
    let log: LmdbLog | undefined;
    try {
      log = await LmdbLog.open(path);
      return new LmdbStore(path, log, o);
    } catch (error) {
      await log?.close();
      openDirs.delete(path);
      throw refusal(dir, error);
    }
  }

  override async close(): Promise<void> {
    await super.close();
    openDirs.delete(this.#dir);
  }
}

class LmdbLog implements RevisionLog {
  readonly #path: string;
  readonly #root: Trees["root"];
  readonly #meta: Trees["meta"];
  readonly #records: Trees["records"];
  compacted: Revision;
  readonly #space: LmdbSpace;
  /** Set when a commit failed in a way that leaves its outcome, and LMDB itself, unsure: reopening finds the truth. */
  #broken: StoreUnavailableError | undefined;

  private constructor(path: string, trees: Trees, space: LmdbSpace) {
    this.#path = path;
    this.#root = trees.root;
    this.#meta = trees.meta;
    this.#records = trees.records;
    this.#space = space;
    this.compacted = BigInt(this.#meta.get("compacted") ?? 0);
  }

  static async open(path: string): Promise<LmdbLog> {
    checkLmdbHeads(join(path, DATA));
    let root = openRoot(path);
    try {
      refuseOthers(path, root);
      // Only now: what another process is writing at this moment would look damaged.
      checkLmdbFile(join(path, DATA));
      const found = treesOf(root);
      refuseOthers(path, root); // again, for lmdb gives our slot back when it opens a tree
      const trees = await compactFile(path, found, () => treesOf((root = openRoot(path))));
      const log = new LmdbLog(path, trees, await LmdbSpace.open(path, trees));
      await log.#checkFormat().catch(async (error: unknown) => {
        await log.#space[Symbol.asyncDispose]();
        throw error;
      });
      return log;
    } catch (error) {
      await root.close();
      throw error;
    }
  }

  sizes(): { sizeBytes: number; inUseBytes: number } {
    return this.#space.sizes();
  }

  async append(records: readonly LogRecord[]): Promise<void> {
    // Encoded before the batch begins: a throw inside would commit half of it.
    const encoded = records.map(({ revision, ops }) => [encodeRevision(revision), encodeOps(ops)] as const);
    const makesRoom = records.every(({ ops }) => ops.every((op) => op.createRevision === 0n));
    await this.#commit({ bytes: bytesOf(encoded), makesRoom }, () => {
      for (const [key, record] of encoded) void this.#records.put(key, record);
    });
  }

  read(revision: Revision): readonly LogOp[] {
    const record = this.#records.getBinary(encodeRevision(revision));
    if (!record) throw new Error(`revision ${revision} is not in the log`);
    return decodeOps(record);
  }

  *scan(from: Revision): Iterable<LogRecord> {
    for (const { key, value } of this.#records.getRange({ start: encodeRevision(from) })) {
      checkRecord(value);
      yield { revision: key.readBigUInt64BE(), ops: decodeOps(value) };
    }
  }

  async compact(revision: Revision, kept: ReadonlyMap<Revision, readonly LogOp[]>): Promise<void> {
    const encoded = [...kept].map(([at, ops]) => [encodeRevision(at), encodeOps(ops)] as const);
    await this.#commit({ bytes: bytesOf(encoded), makesRoom: true, touchesAll: true }, () => {
      for (const [key, record] of encoded) {
        void (record.length > 0 ? this.#records.put(key, record) : this.#records.remove(key));
      }
      void this.#meta.put("compacted", String(revision));
    });
    this.compacted = revision;
  }

  async close(): Promise<void> {
    await this.#root.close();
    await this.#space[Symbol.asyncDispose]();
  }

  /** One LMDB transaction on lmdb's own thread, synced when this resolves. */
  async #commit(size: Commit, write: () => void): Promise<void> {
    if (this.#broken) throw this.#broken;
    try {
      if (!(await this.#space.has(size))) throw new StoreUnavailableError(NO_SPACE, { full: true });
      await this.#root.batch(write);
    } catch (error) {
      if (error instanceof StoreUnavailableError) throw error;
      const cause = await rootCause(error);
      const full = isFull(cause, this.#path);
      const failure = new StoreUnavailableError(full ? NO_SPACE : "the store's disk failed", {
        cause,
        full,
      });
      if (!full) this.#broken = failure;
      throw failure;
    }
  }

  async #checkFormat(): Promise<void> {
    const format = this.#meta.get("format");
    if (format === FORMAT) return;
    if (format !== undefined) {
      const commit = (bytes: number, write: () => void) =>
        this.#commit({ bytes, makesRoom: false, touchesAll: true }, write);
      return upgradeFormat({ meta: this.#meta, records: this.#records }, commit);
    }
    await this.#commit({ bytes: 0, makesRoom: false }, () => void this.#meta.put("format", FORMAT));
  }
}

/** Reads no page but the heads: the rest need not be whole yet. */
function openRoot(path: string): Trees["root"] {
  return open<Buffer, string>({
    path,
    noSubdir: false,
    maxDbs: 4,
    overlappingSync: false, // it would let commits resolve before they are on disk
    eventTurnBatching: false, // we batch ourselves; its own batches leave rejected promises to nobody
  });
}

function treesOf(root: Trees["root"]): Trees {
  const meta = root.openDB<string, string>({ name: "meta", encoding: "string" });
  const records = root.openDB<Buffer, Buffer>({ name: "records", encoding: "binary", keyEncoding: "binary" });
  return { root, meta, records };
}

function refusal(dir: string, error: unknown): unknown {
  if (!(error instanceof CorruptFileError || error instanceof CorruptRecordError)) return error;
  const what = `the store in ${dir} is damaged: ${error.message}`;
  const todo = "move the folder away and restore a backup with: mini-kube restore FILE";
  return new Error(`${what}; nothing was changed; ${todo}`, { cause: error });
}

function refuseOthers(path: string, root: Trees["root"]): void {
  const other = otherProcess(root);
  if (other) throw new StoreUnavailableError(`the store in ${path} is in use by process ${other}`);
}

/**
 * The pid of another live process that has the environment open: LMDB's reader table, whose slots it frees after a
 * crash (they are guarded by file locks, which the kernel drops with the process).
 */
function otherProcess(root: Trees["root"]): number | undefined {
  // Takes our own slot, so that of two starting at once at least one sees the other. No page is read by it.
  root.useReadTransaction().done();
  root.readerCheck();
  const pids = [...root.readerList().matchAll(/^\s*(\d+)\s/gm)].map((line) => Number(line[1]));
  return pids.find((pid) => pid !== process.pid);
}

/** lmdb rejects a write with a wrapper; the reason follows in `commitError`, a promise that rejects. */
async function rootCause(error: unknown): Promise<unknown> {
  const { commitError } = error as { commitError?: Promise<never> };
  try {
    await commitError;
  } catch (cause) {
    return cause;
  }
  return error;
}

/**
 * What {@link LmdbSpace} could not prevent, on file systems that take new blocks for what is overwritten: ENOSPC, EFBIG,
 * EDQUOT, MDB_MAP_FULL; and EIO, which is also what LMDB calls a write cut short by a full disk. All of these come from writing data pages, before the meta page: nothing of the commit is visible and LMDB goes on.
 */
function isFull(error: unknown, path: string): boolean {
  const { code } = error as { code?: unknown };
  if (code === 5) return freeBytes(path) < MIN_FREE_BYTES;
  return code === 28 || code === 27 || code === 122 || code === -30792;
}

function bytesOf(encoded: readonly (readonly [key: Buffer, record: Buffer])[]): number {
  return encoded.reduce((sum, [, record]) => sum + record.length, 0);
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
