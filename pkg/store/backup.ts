/**
 * A backup: all of a cluster's records as they were at one revision, in one file.
 *
 * Lines of JSON, gzipped (`zcat FILE | head`): a header, a record a line, perhaps key files, and a last line with their
 * numbers and the SHA-256 of all before it. A file without its last line, or one in which a byte differs, is refused.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { pipeline as piped } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import type { Snapshot, SnapshotRecord } from "./snapshot.ts";
import type { Revision } from "./store.ts";

const KIND = "MiniKubeBackup";
const VERSION = 1;
const NEWLINE = 0x0a;
/** Written at once: a line each would cost more than its compression. */
const CHUNK_BYTES = 256 * 1024;

export interface BackupHeader {
  readonly kind: typeof KIND;
  readonly version: number;
  /** The uid of the cluster; absent: it had none yet. */
  readonly cluster?: string;
  /** Decimal: the revision of all records, as clients know it. */
  readonly revision: string;
  /** RFC 3339. */
  readonly createdAt: string;
  /** The version of the program that wrote it. */
  readonly program: string;
}

interface BackupEnd {
  readonly records: number;
  readonly files: number;
  readonly sha256: string;
}

/** A file of the home that the records alone do not make up for. */
export interface KeyFile {
  readonly file: string;
  readonly text: string;
}

export type BackupItem = SnapshotRecord | KeyFile;

/** What a backup holds besides its items. */
export interface BackupSummary extends BackupHeader, BackupEnd {}

export interface BackupContents extends Omit<BackupHeader, "kind" | "version" | "revision"> {
  readonly snapshot: Snapshot;
  /** Left out of the file. */
  readonly without?: ReadonlySet<string>;
  readonly files: readonly KeyFile[];
  readonly onProgress?: (records: number) => void;
}

/** Writes the file whole, on disk, or not at all; readable for its owner only. */
export async function writeBackup(file: string, o: BackupContents): Promise<BackupEnd> {
  const partial = `${file}.partial`;
  const digest = createHash("sha256");
  const end = { records: 0, files: o.files.length, sha256: "" };
  const lines = async function* () {
    const { snapshot, without, files, onProgress, ...rest } = o;
    yield { kind: KIND, version: VERSION, ...rest, revision: String(snapshot.revision) };
    for await (const { key, value } of snapshot.records()) {
      if (without?.has(key)) continue;
      yield recordLine(key, value);
      end.records++;
      onProgress?.(end.records);
    }
    yield* files;
  };
  const text = async function* () {
    let chunk = "";
    for await (const line of lines()) {
      chunk += `${JSON.stringify(line)}\n`;
      if (chunk.length < CHUNK_BYTES) continue;
      digest.update(chunk);
      yield chunk;
      chunk = "";
    }
    end.sha256 = digest.update(chunk).digest("hex");
    yield `${chunk}${JSON.stringify(end)}\n`;
  };
  try {
    // Opened before anything can fail: a stream that opens it itself may do so after it was removed below.
    const out = (await open(partial, "w", 0o600)).createWriteStream();
    await piped(Readable.from(text()), createGzip({ level: 6 }), out);
    const handle = await open(partial, "r+");
    await handle.sync();
    await handle.close();
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return end;
}

/** Text stays text, to be read by people; what is none (encrypted values) goes as base64. */
function recordLine(key: string, value: Uint8Array): { key: string; value: string } | { key: string; base64: string } {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? { key, value: text } : { key, base64: bytes.toString("base64") };
}

/** Reads the file to its end; rejects with what is wrong with it. */
export async function checkBackup(file: string): Promise<BackupSummary> {
  const items = readBackup(file);
  for (;;) {
    const { done, value } = await items.next();
    if (done) return value;
  }
}

/** Its records and files; at the end what it says of itself, once that is known to be true. */
export async function* readBackup(file: string): AsyncGenerator<BackupItem, BackupSummary, void> {
  const refuse = (why: string, cause?: unknown) => new Error(`${file} ${why}`, { cause });
  const digest = createHash("sha256");
  const found = { records: 0, files: 0 };
  let header: BackupHeader | undefined;
  let end: BackupEnd | undefined;
  try {
    for await (const line of linesOf(file)) {
      if (end) throw refuse("is no whole backup: something follows its end");
      const parsed = JSON.parse(line.toString("utf8")) as Record<string, unknown>;
      if (!header) header = readHeader(parsed, refuse);
      else if ("sha256" in parsed) {
        end = parsed as unknown as BackupEnd;
        continue;
      } else if ("file" in parsed) {
        found.files++;
        yield { file: String(parsed.file), text: String(parsed.text) };
      } else {
        found.records++;
        yield recordOf(parsed, refuse);
      }
      digest.update(line).update("\n");
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "Z_BUF_ERROR") throw refuse("is cut short: take another backup", error);
    if (code === "Z_DATA_ERROR" && header) throw refuse("is damaged: take another backup", error);
    if (code?.startsWith("Z_") || (error instanceof SyntaxError && !header))
      throw refuse("is no backup that mini-kube wrote", error);
    if (error instanceof SyntaxError) throw refuse("is damaged: take another backup", error);
    throw error;
  }
  if (!header) throw refuse("is empty");
  if (!end) throw refuse("is cut short: take another backup");
  const whole = end.sha256 === digest.digest("hex") && end.records === found.records && end.files === found.files;
  if (!whole) throw refuse("is damaged: its contents do not fit its checksum; take another backup");
  return { ...header, ...end };
}

type Refuse = (why: string) => Error;

function readHeader(parsed: Record<string, unknown>, refuse: Refuse): BackupHeader {
  if (parsed.kind !== KIND || !/^\d+$/.test(String(parsed.revision))) throw refuse("is no backup that mini-kube wrote");
  if (parsed.version !== VERSION) {
    throw refuse(`was written by a newer mini-kube (format ${String(parsed.version)}): use that one`);
  }
  return parsed as unknown as BackupHeader;
}

function recordOf({ key, value, base64 }: Record<string, unknown>, refuse: Refuse): SnapshotRecord {
  if (typeof key !== "string" || key === "") throw refuse("is damaged: a record has no key");
  if (typeof value === "string") return { key, value: Buffer.from(value, "utf8") };
  if (typeof base64 === "string") return { key, value: Buffer.from(base64, "base64") };
  throw refuse(`is damaged: ${key} has no value`);
}

async function* linesOf(file: string): AsyncGenerator<Buffer, void, void> {
  const text = createGunzip();
  // What breaks the file's reading breaks the text's; the loop below hears of it.
  pipeline(createReadStream(file), text, () => {});
  let rest: Buffer[] = [];
  for await (const chunk of text as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, at)]);
      rest = [];
      from = at + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest);
}

/** Whether it is a record, and no file. */
export function isRecord(item: BackupItem): item is SnapshotRecord {
  return "key" in item;
}

/** The revision all records were at. */
export function revisionOf(summary: BackupSummary): Revision {
  return BigInt(summary.revision);
}
