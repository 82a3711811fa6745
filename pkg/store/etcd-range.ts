/** A page of a list should stay this far below gRPC's 4 MB. */
const PAGE_BYTES = 2_000_000;
export const FIRST_PAGE_KEYS = 200;
const MAX_PAGE_KEYS = 10_000;

/** As many keys as would fill a page if they were like those of the last one. */
export function nextPageKeys(page: {
  readonly kvs: readonly { readonly key: Buffer; readonly value: Buffer }[];
}): number {
  const bytes = page.kvs.reduce((sum, kv) => sum + kv.key.length + kv.value.length + 50, 0);
  return Math.min(MAX_PAGE_KEYS, Math.max(1, Math.floor((PAGE_BYTES * page.kvs.length) / bytes)));
}

/** etcd takes no empty key: NUL is the least there is. */
export function prefixStart(prefix: Buffer): Buffer {
  return prefix.length > 0 ? prefix : Buffer.of(0);
}

/** The first key behind all that begin with `prefix`; NUL stands for "no end". */
export function prefixEnd(prefix: Buffer): Buffer {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return Buffer.of(0);
  const end = Buffer.from(prefix.subarray(0, length));
  end.writeUInt8(end.readUInt8(length - 1) + 1, length - 1);
  return end;
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
