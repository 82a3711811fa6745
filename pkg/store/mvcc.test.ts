import { describe, expect, test } from "@jest/globals";
import { settle } from "../util/fake-clock.ts";
import { del, describeEvent, put, take, text, write } from "./conformance-util.ts";
import { MvccStore } from "./mvcc.ts";
import { type LogRecord, MemoryLog } from "./revision-log.ts";
import { StoreUnavailableError } from "./store.ts";

/** A log whose commits are finished, or failed, by the test. */
class SlowLog extends MemoryLog {
  readonly commits: { records: readonly LogRecord[]; finish: (error?: Error) => void }[] = [];

  override append(records: readonly LogRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error?: Error) => (error ? reject(error) : resolve(super.append(records)));
      this.commits.push({ records, finish });
    });
  }
}

describe("MvccStore", () => {
  test("group commit: what arrives while a commit runs becomes one commit", async () => {
    const log = new SlowLog();
    const store = new MvccStore(log);
    const first = write(store, put("/a", "1"));
    await settle();
    const others = [write(store, put("/b", "1")), write(store, put("/c", "1")), write(store, put("/a", "2"))];
    await settle();
    expect(log.commits.map((commit) => commit.records.length)).toEqual([1]);
    log.commits[0]?.finish();
    expect(await first).toBe(2n);
    await settle();
    expect(log.commits.map((commit) => commit.records.length)).toEqual([1, 3]);
    log.commits[1]?.finish();
    expect(await Promise.all(others)).toEqual([3n, 4n, 5n]);
  });

  test("S7: nobody sees a write before it is durable, but the next transaction reckons with it", async () => {
    const log = new SlowLog();
    const store = new MvccStore(log);
    const events = store.watch("/", 2n, new AbortController().signal)[Symbol.asyncIterator]();
    const first = take(events, 1);
    const created = store.txn([{ key: "/a", modRevision: 0n }], [put("/a", "1")]);
    const refused = store.txn([{ key: "/a", modRevision: 0n }], [put("/a", "2")]);
    await settle();
    expect(await store.get("/a")).toEqual({ revision: 1n });
    expect((await store.list("/")).kvs).toEqual([]);
    expect(await Promise.race([first, created, refused, settle().then(() => "nothing yet")])).toBe("nothing yet");
    log.commits[0]?.finish();
    expect(await created).toEqual({ ok: true, revision: 2n });
    expect(await refused).toMatchObject({ ok: false, current: [{ key: "/a", modRevision: 2n }] });
    expect((await first).map((event) => describeEvent(event, 0n))).toEqual(["put /a=1 @2"]);
  });

  test("a failed commit is taken back as a whole, and what comes after it works", async () => {
    const log = new SlowLog();
    const store = new MvccStore(log);
    const kept = write(store, put("/kept", "1"));
    await settle();
    log.commits[0]?.finish();
    await kept;
    const watching = take(store.watch("/", 3n, new AbortController().signal)[Symbol.asyncIterator](), 1);
    const failing = [
      write(store, put("/kept", "2"), put("/new", "2")),
      write(store, del("/kept")),
      store.txn([{ key: "/new", modRevision: 0n }], [put("/new", "3")]),
    ].map((txn) => txn.catch((error: unknown) => error));
    await settle();
    log.commits[1]?.finish(new StoreUnavailableError("no space left", { full: true }));
    for (const error of await Promise.all(failing)) expect(error).toMatchObject({ code: "Unavailable", full: true });
    const page = await store.list("/");
    expect(page.kvs.map((kv) => `${kv.key}=${text(kv.value)}`)).toEqual(["/kept=1"]);
    expect(page.revision).toBe(2n);
    const next = write(store, put("/new", "4"));
    await settle();
    log.commits[2]?.finish();
    expect(await next).toBe(3n);
    expect((await watching).map((event) => describeEvent(event, 0n))).toEqual(["put /new=4 @3"]);
  });

  test("close commits what was accepted before", async () => {
    const log = new SlowLog();
    const store = new MvccStore(log);
    const accepted = write(store, put("/a", "1"));
    const closed = store.close();
    await settle();
    log.commits[0]?.finish();
    expect(await accepted).toBe(2n);
    await closed;
    expect(log.read(2n).map((op) => op.key)).toEqual(["/a"]);
  });
});
