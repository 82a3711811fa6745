import { expect, test } from "@jest/globals";
import { storeConformance } from "./conformance.ts";
import { describeEvent, put, write } from "./conformance-util.ts";
import { MemoryStore } from "./memory.ts";
import type { StoreEvent } from "./store.ts";

storeConformance("MemoryStore", async (o) => new MemoryStore(o));

test("a watcher learns the revision as progress: when the past is delivered, and when other keys change", async () => {
  const store = new MemoryStore();
  const base = await write(store, put("/w/a", "0"));
  const seen: StoreEvent[] = [];
  const abort = new AbortController();
  for await (const event of store.watch("/w/", base, abort.signal)) {
    seen.push(event);
    if (seen.length === 2) await write(store, put("/other", "1"));
    if (seen.length === 3) {
      for (let i = 2; i < 5; i++) await write(store, put("/other", String(i)));
      await write(store, put("/w/a", "5"));
    }
    if (seen.length === 4) abort.abort();
  }
  // Progress nobody read in time melts into what follows.
  expect(seen.map((event) => describeEvent(event, base))).toEqual([
    "put /w/a=0 @0",
    "progress @0",
    "progress @1",
    "put /w/a=5 (0) @5",
  ]);
});
