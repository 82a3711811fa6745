import { describe, expect, test } from "@jest/globals";
import { put, text, write } from "./conformance-util.ts";
import { ensureFormat, STEPS, type UpgradeStep } from "./format.ts";
import { MemoryStore } from "./memory.ts";
import { OWN_KEYS } from "./own-keys.ts";
import { type Store, StoreUnavailableError, type TxnOp } from "./store.ts";

const bytes = (value: string) => new TextEncoder().encode(value);

/** Made up: each step says in the value that it was there, and by how often; records of the second's `gone` go. */
const steps: readonly UpgradeStep[] = [
  { to: 1, says: "first", record: (_key, value) => bytes(`${text(value)}+1`) },
  { to: 2, says: "second", record: (key, value) => (key.includes("gone") ? undefined : bytes(`${text(value)}+2`)) },
];
const COUNT = 170;
const name = (i: number) => `/registry/things/${String(i).padStart(4, "0")}`;

async function oldStore(): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (let i = 0; i < COUNT; i++) await write(store, put(name(i), `${i}`));
  await write(store, put("/registry/things/gone", "x"), put("/elsewhere", "untouched"));
  return store;
}

async function contents(store: Store): Promise<Record<string, string | undefined>> {
  return Object.fromEntries((await store.list("/")).kvs.map((kv) => [kv.key, text(kv.value)]));
}

const upgraded = {
  ...Object.fromEntries(Array.from({ length: COUNT }, (_, i) => [name(i), `${i}+1+2`])),
  "/elsewhere": "untouched",
  [OWN_KEYS.format]: '{"version":2}',
};

/** Fails each transaction from the `after`-th on, before it happens or after it has. */
function failing(store: Store, after: number, happens: boolean): Store {
  let count = 0;
  return new Proxy(store, {
    get(target, property) {
      if (property !== "txn") return Reflect.get(target, property).bind(target);
      return async (...args: Parameters<Store["txn"]>) => {
        if (count++ < after) return target.txn(...args);
        if (happens) await target.txn(...args);
        throw new StoreUnavailableError("pulled the plug");
      };
    },
  });
}

describe("ensureFormat", () => {
  test("an empty store gets this program's format, and nothing else", async () => {
    const store = new MemoryStore();
    await write(store, put(OWN_KEYS.cluster, "{}"));
    await ensureFormat(store, { onStep: () => expect("an upgrade").toBe("nothing to upgrade") });
    expect(await contents(store)).toEqual({
      [OWN_KEYS.cluster]: "{}",
      [OWN_KEYS.format]: JSON.stringify({ version: STEPS.at(-1)?.to }),
    });
  });

  test("v0 → v1 → v2: step by step, each record once, what is not the cluster's untouched", async () => {
    const store = await oldStore();
    const seen: string[] = [];
    await ensureFormat(store, { steps, onStep: ({ says }) => seen.push(says) });
    expect(await contents(store)).toEqual(upgraded);
    expect(seen).toEqual(["first", "second"]);
    const { revision } = await store.get("/");
    await ensureFormat(store, { steps });
    expect((await store.get("/")).revision).toBe(revision);
  });

  test.each([true, false])("cut off at any transaction (done: %p) it goes on where it was", async (happens) => {
    let crashes = 0;
    for (let after = 0; ; after++) {
      const store = await oldStore();
      const crashed = await ensureFormat(failing(store, after, happens), { steps }).then(
        () => false,
        () => true,
      );
      await ensureFormat(store, { steps });
      expect(await contents(store)).toEqual(upgraded);
      if (!crashed) break;
      crashes++;
    }
    expect(crashes).toBeGreaterThan(8);
  });

  test("several that start at once share the work", async () => {
    const store = await oldStore();
    await Promise.all(Array.from({ length: 4 }, () => ensureFormat(store, { steps })));
    expect(await contents(store)).toEqual(upgraded);
  });

  test("large records: no transaction grows beyond what a store takes", async () => {
    const store = new MemoryStore();
    const large = (i: number): TxnOp => put(`/registry/large/${i}`, "x".repeat(1_000_000));
    for (let i = 0; i < 5; i++) await write(store, large(i));
    await ensureFormat(store, { steps });
    const sizes = (await store.list("/registry/large/")).kvs.map((kv) => kv.value.length);
    expect(sizes).toEqual([1, 2, 3, 4, 5].map(() => 1_000_004));
  });

  test("what a newer program wrote is refused, and left as it is", async () => {
    const store = new MemoryStore();
    await write(store, put(OWN_KEYS.format, '{"version":3}'), put("/registry/a", "new"));
    const { revision } = await store.get("/");
    await expect(ensureFormat(store, { steps })).rejects.toThrow(
      "the store has format 3, written by a newer mini-kube; this one knows up to 2: use the newer one",
    );
    expect((await store.get("/")).revision).toBe(revision);
  });
});
