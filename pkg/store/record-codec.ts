import type { LogOp } from "./revision-log.ts";

/**
 * A record on disk: per op, big-endian, `u32 keyBytes, u32 valueBytes, u64 createRevision`, key in UTF-8, value.
 * Changing this needs a new FORMAT in lmdb.ts.
 */
const HEADER = 16;

export function encodeOps(ops: readonly LogOp[]): Buffer {
  const size = ops.reduce((sum, op) => sum + HEADER + Buffer.byteLength(op.key) + op.value.length, 0);
  const record = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { key, value, createRevision } of ops) {
    const keyBytes = record.write(key, at + HEADER);
    record.writeUInt32BE(keyBytes, at);
    record.writeUInt32BE(value.length, at + 4);
    record.writeBigUInt64BE(createRevision, at + 8);
    record.set(value, at + HEADER + keyBytes);
    at += HEADER + keyBytes + value.length;
  }
  return record;
}

/** The values are views into `record`. */
export function decodeOps(record: Buffer): LogOp[] {
  const ops: LogOp[] = [];
  for (let at = 0; at < record.length;) {
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
