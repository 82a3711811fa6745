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
