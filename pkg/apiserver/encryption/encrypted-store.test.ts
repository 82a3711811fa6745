import { expect, test } from "@jest/globals";
import { storeConformance } from "../../store/conformance.ts";
import { MemoryStore } from "../../store/memory.ts";
import { settle } from "../../util/fake-clock.ts";
import { Ciphers } from "./ciphers.ts";
import { EncryptedStore } from "./encrypted-store.ts";

const all = {
  hash: "",
  rules: [
    {
      resources: ["*.*"],
      providers: [{ type: "aesgcm" as const, keys: [{ name: "k", secret: Buffer.alloc(32, 7) }] }],
    },
  ],
};

storeConformance("EncryptedStore", async (o) => new EncryptedStore(new MemoryStore(o), new Ciphers(all)));

test("others are in use when nothing is on its way any more that was encrypted by those before", async () => {
  const memory = new MemoryStore();
  let go = () => {};
  const slow = new Promise<void>((resolve) => (go = resolve));
  const txn = memory.txn.bind(memory);
  memory.txn = (expected, then) => slow.then(() => txn(expected, then));
  const store = new EncryptedStore(memory, new Ciphers(all));
  const written = store.txn([], [{ op: "put", key: "/registry/a", value: Buffer.from("1") }]);
  let inUse = false;
  const used = store.use(new Ciphers(all)).then(() => (inUse = true));
  await settle();
  expect(inUse).toBe(false);
  go();
  expect((await written).ok).toBe(true);
  await used;
  await store.close();
});

test("what was there before is decrypted for who reads it only", async () => {
  const ciphers = new Ciphers(all);
  const decrypt = ciphers.decrypt.bind(ciphers);
  let opened = 0;
  ciphers.decrypt = (at, value) => {
    opened += 1;
    return decrypt(at, value);
  };
  const store = new EncryptedStore(new MemoryStore(), ciphers);
  await store.txn([], [{ op: "put", key: "/registry/a", value: Buffer.from("1") }]);
  const { revision } = await store.txn([], [{ op: "delete", key: "/registry/a" }]);
  const abort = new AbortController();
  for await (const event of store.watch("/registry/", revision, abort.signal)) {
    if (event.type !== "delete") continue;
    expect(opened).toBe(0);
    expect(Buffer.from(event.prev?.value ?? "").toString()).toBe("1");
    abort.abort();
  }
  expect(opened).toBe(1);
  await store.close();
});
