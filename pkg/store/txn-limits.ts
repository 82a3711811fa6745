import { type Expectation, type TxnOp, TxnTooLargeError } from "./store.ts";

/**
 * etcd's own limits with room for its framing, kept by every adapter, so that what works on a laptop's LMDB works on a
 * cluster's etcd too (`--max-request-bytes` 1.5 MiB, `--max-txn-ops` 128).
 */
export const MAX_TXN_BYTES = 1_500_000;
export const MAX_TXN_OPS = 128;

/** Rejects, before anything is sent, what no adapter may accept. */
export function checkTxn(expect: readonly Expectation[], then: readonly TxnOp[]): void {
  if (expect.length > MAX_TXN_OPS || then.length > MAX_TXN_OPS) {
    throw new TxnTooLargeError(`a transaction holds at most ${MAX_TXN_OPS} expectations and as many ops`);
  }
  const seen = new Set<string>();
  let bytes = 0;
  for (const op of then) {
    if (op.key === "") throw new TypeError("a key must not be empty");
    if (seen.has(op.key)) throw new TypeError(`key ${op.key} occurs twice in one transaction`);
    seen.add(op.key);
    bytes += op.key.length + (op.op === "put" ? op.value.length : 0);
  }
  if (bytes > MAX_TXN_BYTES) {
    throw new TxnTooLargeError(`a transaction of ${bytes} bytes is larger than the ${MAX_TXN_BYTES} allowed`);
  }
}
