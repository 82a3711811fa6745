/**
 * One value in the store that says whether a server has the keys of what lies there: it is encrypted as Secrets are, and
 * says beside it, for all to read, where the keys are to be found. So who lacks them is told at its start, before it
 * writes anything.
 */
import { OWN_KEYS } from "../../store/own-keys.ts";
import type { Expectation, Store, TxnOp } from "../../store/store.ts";
import { ROOT } from "../keys.ts";
import { Ciphers, isEncrypted } from "./ciphers.ts";
import type { EncryptionConfig } from "./config.ts";

/** Encrypted as if it were a Secret's. */
const AT = `${ROOT}secrets/mini-kube/encryption`;
const CONTENT = Buffer.from("these are the keys of this cluster");

interface Proof {
  /** MACHINE:FILE that wrote it. */
  readonly from: string;
  /** Base64. */
  readonly value: string;
}

/** Whose keys are to be used here. */
export interface KeyPlace {
  readonly machine: string;
  readonly file: string;
}

const nameOf = ({ machine, file }: KeyPlace) => `${machine}:${file}`;

/** The keys of what is in the store are elsewhere. Nothing was written. */
export class MissingKeys extends Error {
  constructor(from: string, place: KeyPlace | undefined) {
    const why = "what is in the store is encrypted with keys that are not here";
    const other = "if this shall be another cluster, give it another store";
    if (place && from === nameOf(place)) super(`${why}: put back ${place.file} as it was; ${other}`);
    else if (place) super(`${why}: copy ${from} to ${place.file}; ${other}`);
    else super(`${why}: copy ${from} to this machine and name it with --encryption-provider-config; ${other}`);
  }
}

/** Whether what lies in the store (the plain one) needs keys, and where they are. */
export async function keysNeeded(store: Store): Promise<{ readonly from: string } | undefined> {
  const { kv } = await store.get(OWN_KEYS.encryption);
  const proof = kv && parse(kv.value);
  return proof && isEncrypted(bytesOf(proof)) ? { from: proof.from } : undefined;
}

/**
 * Resolves when these keys are those of the store; the first server's become it. Rejects with {@link MissingKeys}. Where
 * another key writes than before, the cluster's identity is written anew with it: no client can, and a server that
 * starts when the old key is gone must read it.
 */
export async function proveKeys(store: Store, config: EncryptionConfig, place: KeyPlace): Promise<void> {
  const ciphers = new Ciphers(config);
  const key = OWN_KEYS.encryption;
  for (;;) {
    const { kv } = await store.get(key);
    const proof = kv && parse(kv.value);
    if (proof) {
      const { value, stale } = ciphers.decrypt(AT, bytesOf(proof));
      if (!CONTENT.equals(value)) throw new MissingKeys(proof.from, place);
      if (!stale) return;
    }
    const next: Proof = { from: nameOf(place), value: Buffer.from(ciphers.encrypt(AT, CONTENT)).toString("base64") };
    const expect: Expectation[] = [{ key, modRevision: kv?.modRevision ?? 0n }];
    const then: TxnOp[] = [{ op: "put", key, value: Buffer.from(JSON.stringify(next)) }];
    const { kv: identity } = await store.get(OWN_KEYS.identity);
    const opened = identity && ciphers.decrypt(identity.key, identity.value);
    if (identity && opened?.stale) {
      expect.push({ key: identity.key, modRevision: identity.modRevision });
      then.push({ op: "put", key: identity.key, value: ciphers.encrypt(identity.key, opened.value) });
    }
    const result = await store.txn(expect, then);
    // Lost to another server: what it wrote is looked at.
    if (result.ok) return;
  }
}

const parse = (value: Uint8Array) => JSON.parse(Buffer.from(value).toString()) as Proof;
const bytesOf = (proof: Proof): Uint8Array => Buffer.from(proof.value, "base64");
