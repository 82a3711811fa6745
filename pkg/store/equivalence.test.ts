import { expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describeEvent, text } from "./conformance-util.ts";
import { LmdbStore } from "./lmdb.ts";
import { MemoryStore } from "./memory.ts";
import type { KeyValue, Revision, Store, TxnOp } from "./store.ts";

const key = fc.constantFrom("/a", "/a/x", "/a/y", "/b", "/b/𝒳", "/b/\uffee", "/c");
const prefix = fc.constantFrom("", "/", "/a", "/a/", "/b/", "/z");
/** How far behind the newest revision; a little into the future too. */
const age = fc.integer({ min: -1, max: 12 });

const op = fc.oneof(
  fc.record({ op: fc.constant("put" as const), key, value: fc.string({ maxLength: 8 }) }),
  fc.record({ op: fc.constant("delete" as const), key }),
);
const txn = fc.record({
  kind: fc.constant("txn" as const),
  expect: fc.array(fc.record({ key, holds: fc.boolean() }), { maxLength: 2 }),
  ops: fc.uniqueArray(op, { maxLength: 4, selector: (o) => o.key }),
});
const step = fc.oneof(
  { weight: 6, arbitrary: txn },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("batch" as const), txns: fc.array(txn, { maxLength: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("get" as const), key, age }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("list" as const),
      prefix,
      age,
      limit: fc.nat({ max: 4 }),
      after: fc.option(key, { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("watch" as const), prefix, age }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact" as const), age }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type TxnStep = Extract<Step, { kind: "txn" }>;

test("LMDB and memory answer any sequence of operations alike, reopened or not", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const dir = mkdtempSync(join(tmpdir(), "mini-kube-lmdb-"));
      const memory = new MemoryStore();
      let lmdb = await LmdbStore.open(dir);
      try {
        const answers: unknown[] = [];
        const expected: unknown[] = [];
        for (const next of steps) {
          if (next.kind === "reopen") {
            await lmdb.close();
            lmdb = await LmdbStore.open(dir);
          } else {
            answers.push(await answer(lmdb, next));
            expected.push(await answer(memory, next));
          }
        }
        expect(answers).toEqual(expected);
      } finally {
        await Promise.all([lmdb.close(), memory.close()]);
        rmSync(dir, { recursive: true, force: true });
      }
    }),
    { numRuns: 80 },
  );
});

/** What the store says, in a form that can be compared: a thrown error is an answer too. */
async function answer(store: Store, next: Exclude<Step, { kind: "reopen" }>): Promise<unknown> {
  const { revision } = await store.get("/");
  try {
    switch (next.kind) {
      case "txn":
        return await run(store, next);
      case "batch":
        return await Promise.all(next.txns.map((one) => run(store, one)));
      case "get": {
        const { kv, ...rest } = await store.get(next.key, revision - BigInt(next.age));
        return { ...rest, kv: readable(kv) };
      }
      case "list": {
        const at = revision - BigInt(next.age);
        const after = next.after === undefined ? {} : { after: next.after };
        const { kvs, ...rest } = await store.list(next.prefix, { at, limit: next.limit, ...after });
        return { ...rest, kvs: kvs.map(readable) };
      }
      case "watch":
        return await history(store, next.prefix, revision - BigInt(next.age), revision);
      case "compact":
        return await store.compact(revision - BigInt(next.age));
    }
  } catch (error) {
    return String(error);
  }
}

async function run(store: Store, next: TxnStep): Promise<unknown> {
  const expectations = await Promise.all(
    next.expect.map(async ({ key: name, holds }) => {
      const { kv } = await store.get(name);
      return { key: name, modRevision: (kv?.modRevision ?? 0n) + (holds ? 0n : 7n) };
    }),
  );
  const ops = next.ops.map((o): TxnOp => (o.op === "put" ? { ...o, value: Buffer.from(o.value) } : o));
  const result = await store.txn(expectations, ops);
  return result.ok ? result : { ...result, current: result.current.map(readable) };
}

/** Every event up to `until`, which the watch announces as progress. */
async function history(store: Store, watched: string, from: Revision, until: Revision): Promise<string[]> {
  const events: string[] = [];
  for await (const event of store.watch(watched, from, new AbortController().signal)) {
    events.push(describeEvent(event, 0n));
    if (event.type === "progress" && event.revision >= until) break;
  }
  return events;
}

function readable(kv: KeyValue | undefined): object | undefined {
  return kv && { ...kv, value: text(kv.value) };
}
