import { storeConformance } from "../../store/conformance.ts";
import { MemoryStore } from "../../store/memory.ts";
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
