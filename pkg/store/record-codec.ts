import { crc32 } from "node:zlib";
import type { LogOp } from "./revision-log.ts";

/**
 * A record on disk, big-endian: `u32 crc32` of all that follows; per op `u32 keyBytes, u32 valueBytes, u64 createRevision`,
 * key in UTF-8, value. Changing this needs a new format and a step to it in lmdb-format.ts.
 */
const CHECKSUM = 4;
const HEADER = 16;

/** A record is not as it was written. */
export class CorruptRecordError extends Error {}

/** No op: no bytes. */
export function encodeOps(ops: readonly LogOp[]): Buffer {
  if (ops.length === 0) return Buffer.alloc(0);
  const size = ops.reduce((sum, op) => sum + HEADER + Buffer.byteLength(op.key) + op.value.length, CHECKSUM);
  const record = Buffer.allocUnsafe(size);
  let at = CHECKSUM;
  for (const { key, value, createRevision } of ops) {
    const keyBytes = record.write(key, at + HEADER);
    record.writeUInt32BE(keyBytes, at);
    record.writeUInt32BE(value.length, at + 4);
    record.writeBigUInt64BE(createRevision, at + 8);
    record.set(value, at + HEADER + keyBytes);
    at += HEADER + keyBytes + value.length;
  }
  record.writeUInt32BE(crc32(record.subarray(CHECKSUM)));
  return record;
}

/** Throws CorruptRecordError where its checksum does not fit. */
export function checkRecord(record: Buffer): void {
  if (record.length < CHECKSUM || record.readUInt32BE() !== crc32(record.subarray(CHECKSUM))) {
    throw new CorruptRecordError("a record is not as it was written");
  }
}

/** The record of format 1, which had no checksum, as it is now. */
export function withChecksum(ops: Buffer): Buffer {
  const checksum = Buffer.allocUnsafe(CHECKSUM);
  checksum.writeUInt32BE(crc32(ops));
  return Buffer.concat([checksum, ops]);
}

/** The values are views into `record`. Trusts it: {@link checkRecord} is for when it comes from a file anew. */
export function decodeOps(record: Buffer): LogOp[] {
  const ops: LogOp[] = [];
  for (let at = CHECKSUM; at < record.length;) {
    const keyEnd = at + HEADER + record.readUInt32BE(at);
    const valueEnd = keyEnd + record.readUInt32BE(at + 4);
    const createRevision = record.readBigUInt64BE(at + 8);
    ops.push({
      key: record.toString("utf8", at + HEADER, keyEnd),
      createRevision,
      value: record.subarray(keyEnd, valueEnd),
    });
    at = valueEnd;
  }
  return ops;
}

/** Big-endian, so that LMDB's byte order is the order of the revisions. */
export function encodeRevision(revision: bigint): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeBigUInt64BE(revision);
  return key;
}
