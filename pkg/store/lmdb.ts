import { mkdirSync, realpathSync, statfsSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { MvccStore, type MvccOptions } from "./mvcc.ts";
import { decodeOps, encodeOps, encodeRevision } from "./record-codec.ts";
import type { LogOp, LogRecord, RevisionLog } from "./revision-log.ts";
import { type Revision, StoreUnavailableError } from "./store.ts";

/** Written into every new store; an upgrade reads it to know what it finds. */
const FORMAT = "1";

/** Below this LMDB cannot even make its files; touching its memory map would kill the process (SIGBUS). */
const MIN_FREE_BYTES = 1024 * 1024;

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

  private constructor(dir: string, log: LmdbLog, o: MvccOptions) {
    super(log, o);
    this.#dir = dir;
  }

  /** Opens the directory, made if need be (mode 0700). Everything is read once, to rebuild the index. */
  static async open(dir: string, o: MvccOptions = {}): Promise<LmdbStore> {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const path = realpathSync(dir);
    const { bavail, bsize } = statfsSync(path);
    if (bavail * bsize < MIN_FREE_BYTES) {
      throw new StoreUnavailableError(`no space left on the device of ${dir}`, { full: true });
    }
    if (openDirs.has(path)) throw new StoreUnavailableError(`the store in ${dir} is already open in this process`);
    openDirs.add(path);
    try {
      return new LmdbStore(path, await LmdbLog.open(path), o);
    } catch (error) {
      openDirs.delete(path);
      throw error;
    }
  }

  override async close(): Promise<void> {
    await super.close();
    openDirs.delete(this.#dir);
  }
}

class LmdbLog implements RevisionLog {
  readonly #root: RootDatabase<Buffer, string>;
  /** `format` and `compacted`. */
  readonly #meta: Database<string, string>;
  /** Revision → record. */
  readonly #records: Database<Buffer, Buffer>;
  compacted: Revision;
  /** Set when a commit failed in a way that leaves its outcome, and LMDB itself, unsure: reopening finds the truth. */
  #broken: StoreUnavailableError | undefined;

  private constructor(root: RootDatabase<Buffer, string>) {
    this.#root = root;
    this.#meta = root.openDB({ name: "meta", encoding: "string" });
    this.#records = root.openDB({ name: "records", encoding: "binary", keyEncoding: "binary" });
    this.compacted = BigInt(this.#meta.get("compacted") ?? 0);
  }

  static async open(path: string): Promise<LmdbLog> {
    // overlappingSync would let commits resolve before they are on disk.
    const root = open<Buffer, string>({ path, noSubdir: false, overlappingSync: false, maxDbs: 4 });
    try {
      const other = otherProcess(root);
      if (other) throw new StoreUnavailableError(`the store in ${path} is in use by process ${other}`);
      const log = new LmdbLog(root);
      await log.#checkFormat(path);
      return log;
    } catch (error) {
      await root.close();
      throw error;
    }
  }

  async append(records: readonly LogRecord[]): Promise<void> {
    await this.#commit(() => {
      for (const { revision, ops } of records) void this.#records.put(encodeRevision(revision), encodeOps(ops));
    });
  }

  read(revision: Revision): readonly LogOp[] {
    const record = this.#records.getBinary(encodeRevision(revision));
    if (!record) throw new Error(`revision ${revision} is not in the log`);
    return decodeOps(record);
  }

  *scan(from: Revision): Iterable<LogRecord> {
    for (const { key, value } of this.#records.getRange({ start: encodeRevision(from) })) {
      yield { revision: key.readBigUInt64BE(), ops: decodeOps(value) };
    }
  }

  async compact(revision: Revision, drop: readonly Revision[]): Promise<void> {
    await this.#commit(() => {
      for (const dropped of drop) void this.#records.remove(encodeRevision(dropped));
      void this.#meta.put("compacted", String(revision));
    });
    this.compacted = revision;
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  /** One LMDB transaction on lmdb's own thread, synced when this resolves. */
  async #commit(write: () => void): Promise<void> {
    if (this.#broken) throw this.#broken;
    try {
      await this.#root.batch(write);
    } catch (error) {
      const cause = await rootCause(error);
      const full = isFull(cause);
      const failure = new StoreUnavailableError(full ? "no space left for the store" : "the store's disk failed", {
        cause,
        full,
      });
      if (!full) this.#broken = failure;
      throw failure;
    }
  }

  async #checkFormat(path: string): Promise<void> {
    const format = this.#meta.get("format");
    if (format === FORMAT) return;
    if (format !== undefined) {
      throw new Error(`the store in ${path} has format ${format}; this version of mini-kube reads format ${FORMAT}`);
    }
    await this.#commit(() => void this.#meta.put("format", FORMAT));
  }
}

/**
 * The pid of another live process that has the environment open: LMDB's reader table, whose slots it frees after a
 * crash (they are guarded by file locks, which the kernel drops with the process).
 */
function otherProcess(root: RootDatabase<Buffer, string>): number | undefined {
  root.get("any"); // takes our own slot, so that of two starting at once at least one sees the other
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

/** ENOSPC, EFBIG, EDQUOT, MDB_MAP_FULL */
function isFull(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 28 || code === 27 || code === 122 || code === -30792;
}
