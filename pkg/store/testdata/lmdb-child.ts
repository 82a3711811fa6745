/** A process of its own for lmdb.test.ts: `write DIR` or `hold DIR` until killed, `fill DIR` until the disk is full, or `ballast DIR`. */
import { once } from "node:events";
import { appendFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { LmdbStore } from "../lmdb.ts";
import { type StoreUnavailableError, type TxnOp } from "../store.ts";

const WRITERS = 16;
const [mode, dir = ""] = process.argv.slice(2);
const store = await LmdbStore.open(dir);
if (mode === "write") await Promise.all(Array.from({ length: WRITERS }, (_, i) => writeForEver(i)));
else if (mode === "hold") await hold();
else console.log(JSON.stringify(await (mode === "fill" ? fill() : amongOthers())));

/** Has it open, and does nothing with it. */
async function hold(): Promise<void> {
  await store.txn([], [{ op: "put", key: "/held", value: Buffer.from("1") }]);
  process.stdout.write("held\n");
  await once(createServer().listen(0, "127.0.0.1"), "close"); // which never comes
}

/** Prints `KEY REVISION` for each acknowledged transaction; it put KEY and KEY/twin. */
async function writeForEver(writer: number): Promise<void> {
  for (let i = 0; ; i++) {
    const key = `/crash/${process.pid}-${writer}-${i}`;
    const value = Buffer.from(key);
    const result = await store.txn(
      [{ key, modRevision: 0n }],
      [
        { op: "put", key, value },
        { op: "put", key: `${key}/twin`, value },
      ],
    );
    process.stdout.write(`${key} ${result.revision}\n`);
    if (i % 50 === 49) await store.compact(result.revision);
  }
}

async function fill(): Promise<object> {
  const put = (key: string, size: number): TxnOp => ({ op: "put", key, value: Buffer.alloc(size, 1) });
  let written = 0;
  let failure: StoreUnavailableError | undefined;
  while (!failure) {
    await store.txn([], [put(`/${written}`, 100_000)]).then(
      () => written++,
      (error: unknown) => (failure = error as StoreUnavailableError),
    );
  }
  const { kvs, revision } = await store.list("/");
  const again = await store.txn([], [put("/large", 300_000)]).catch((error: StoreUnavailableError) => error.full);
  const freed = await store.txn([], [0, 1, 2, 3].map((i) => ({ op: "delete", key: `/${i}` })));
  await store.compact(freed.revision);
  const after = await store.txn([], [put("/after", 100)]);
  await store.close();
  const reopened = await LmdbStore.open(dir);
  const left = (await reopened.list("/")).kvs.length;
  await reopened.close();
  return { name: failure.code, full: failure.full, written, listed: kvs.length, revision: Number(revision), again, after: after.ok, left };
}

/** Others take all the room there is, and give it back. */
async function amongOthers(): Promise<object> {
  const failures: StoreUnavailableError[] = [];
  let written = 0;
  const put = async (bytes: number) => {
    const { ok } = await store.txn([], [{ op: "put", key: `/${written}`, value: Buffer.alloc(bytes, 1) }]);
    if (ok) written++;
  };
  await put(200_000);
  try {
    for (;;) appendFileSync("ballast", Buffer.alloc(4096));
  } catch {
    // full
  }
  while (failures.length < 50) await put(200_000).catch((e: StoreUnavailableError) => failures.push(e));
  const listed = (await store.list("/")).kvs.length === written;
  rmSync("ballast");
  await put(200_000);
  return { full: failures.every((e) => e.full), listed };
}
