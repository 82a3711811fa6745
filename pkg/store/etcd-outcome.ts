/** What became of a transaction whose answer was lost, told by what is there afterwards. Pure. */
import type { Expectation, KeyValue, Revision, TxnOp } from "./store.ts";

/**
 * Sent twice it happens once: where it has happened, what it expects of a key that it writes holds no more. But for what
 * creates a key: if a frozen member holds up the first one until the second has happened and the key was deleted again,
 * the key is made once more, for "not there" then holds again. To rule that out, each key would have to be remembered.
 */
export function happensOnce(expect: readonly Expectation[], then: readonly TxnOp[]): boolean {
  return then.some((op) => op.op === "put" && expect.some(({ key }) => key === op.key));
}

/**
 * The revision at which it happened, when what it expected does not hold (any more); undefined: nobody can tell.
 * `current`: what is at each of the keys expected. Somebody else who wrote the very same there is as good.
 */
export function happenedAt(
  expect: readonly Expectation[],
  then: readonly TxnOp[],
  current: readonly (KeyValue | undefined)[],
): Revision | undefined {
  const there = new Map(expect.map(({ key, modRevision }, i) => [key, { modRevision, kv: current[i] }]));
  const revisions = new Set<Revision>();
  for (const op of then) {
    const found = there.get(op.key);
    if (!found) continue;
    const { kv, modRevision } = found;
    if (op.op === "delete") {
      if (kv) return undefined;
      continue;
    }
    if (!kv || kv.modRevision <= modRevision || Buffer.compare(kv.value, op.value) !== 0) return undefined;
    revisions.add(kv.modRevision);
  }
  const [revision] = revisions;
  return revisions.size === 1 ? revision : undefined;
}
