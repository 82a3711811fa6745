import { expect, test } from "@jest/globals";
import { configMaps } from "../api/kinds/core/configmap.ts";
import { Entry } from "./entry.ts";
import { keyFor } from "./keys.ts";
import { ResourceCache } from "./resource-cache.ts";
import { select } from "./selection.ts";

const keyOf = (name: string) => keyFor(configMaps, "default", name);
const entry = (name: string, revision: bigint) =>
  new Entry(keyOf(name), { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" } }, revision);

/** What a watch learns that comes back at this revision. */
async function since(cache: ResourceCache, from: bigint): Promise<string[]> {
  const watcher = cache.subscribe({ selection: select(configMaps, { namespace: "default" }), from });
  watcher.end();
  const told: string[] = [];
  for await (const batch of watcher.batches(new AbortController().signal)) {
    told.push(...batch.map((n) => `${n.type} ${n.entry.object.metadata.name}`));
  }
  return told;
}

test("C5: what can be read after all is a change of now: whoever comes back from before misses nothing", async () => {
  const cache = new ResourceCache(configMaps);
  cache.reset([], 1n);
  cache.put(entry("hidden", 2n), 0);
  cache.hide(keyOf("hidden"), { why: "no key", revision: 3n }, 0);
  cache.put(entry("a", 4n), 0);
  cache.put(entry("b", 5n), 0);
  cache.show(entry("hidden", 3n), 6n, 0);
  expect(cache.changedAt).toBe(6n);
  cache.put(entry("c", 7n), 0);
  expect(await since(cache, 4n)).toEqual(["ADDED b", "ADDED hidden", "ADDED c"]);
  // It had seen all of revision 6, before this was shown.
  expect(await since(cache, 6n)).toEqual(["ADDED hidden", "ADDED c"]);
  expect(await since(cache, 7n)).toEqual([]);
});

test("after a burst its changes are forgotten, but the last ones; who comes back from before them must list anew", async () => {
  const cache = new ResourceCache(configMaps);
  cache.reset([], 1n);
  for (let r = 2n; r <= 1001n; r++) cache.put(entry("a", r), 0);
  cache.forget(60_000);
  expect(await since(cache, 1n)).toHaveLength(1_000);
  cache.forget(120_000);
  expect(await since(cache, 1001n - 256n)).toHaveLength(256);
  await expect(since(cache, 1001n - 257n)).rejects.toThrow("too old resource version: 744 (745)");
});
