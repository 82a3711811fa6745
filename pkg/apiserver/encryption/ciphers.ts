/**
 * Values as the store keeps them: `k8s:enc:aesgcm:v1:KEY:` + nonce + what AES-GCM makes of it + tag, as Kubernetes
 * writes them. Pure but for the nonces.
 *
 *  N1  What was encrypted for one address of the store is refused at any other: the address is authenticated with it.
 *  N2  What no key fits stays as it is; whoever decodes it learns why (see {@link unreadable}).
 *  N3  Plain text is refused where no `identity` provider allows it: else who has the disks could put some in place of it.
 *  N4  No nonce is chosen by us: 96 random bits for every write, so that a key is good for 2^32 of them.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { resources } from "../../api/table.ts";
import { OWN, OWN_KEYS } from "../../store/own-keys.ts";
import { ROOT } from "../keys.ts";
import type { EncryptionConfig, EncryptionKey } from "./config.ts";

const MARK = "k8s:enc:";
const PREFIX = `${MARK}aesgcm:v1:`;
/** Stands before plain text that must not be there. */
const REFUSED = Buffer.from(`${MARK}identity:`);
const NONCE = 12;
const TAG = 16;

interface Cipher {
  readonly prefix: Buffer;
  readonly key: KeyObject;
  readonly bits: number;
}

/** Of one resource: undefined writes as it is. */
interface Row {
  readonly write: Cipher | undefined;
  /** Whether what is not encrypted is read. */
  readonly plain: boolean;
}

export interface Opened {
  readonly value: Uint8Array;
  /** A write of it would be stored otherwise: by another key, or not in plain text. */
  readonly stale: boolean;
}

const core = new Set(resources.filter((r) => r.group === "").map((r) => r.plural));

export class Ciphers {
  readonly #config: EncryptionConfig;
  readonly #ciphers = new Map<string, Cipher>();
  readonly #rows = new Map<string, Row>();

  constructor(config: EncryptionConfig) {
    this.#config = config;
    for (const { providers } of config.rules) {
      for (const p of providers) if (p.type === "aesgcm") for (const key of p.keys) this.#add(key);
    }
  }

  encrypt(at: string, value: Uint8Array): Uint8Array {
    const cipher = this.#rowOf(at).write;
    return cipher ? seal(cipher, at, value) : value;
  }

  decrypt(at: string, value: Uint8Array): Opened {
    const { write, plain: mayBePlain } = this.#rowOf(at);
    if (!isEncrypted(value)) {
      return mayBePlain
        ? { value, stale: write !== undefined }
        : { value: Buffer.concat([REFUSED, value]), stale: false };
    }
    // A key's name may occur twice, with other bytes in another rule.
    for (const cipher of write ? [write, ...this.#ciphers.values()] : this.#ciphers.values()) {
      const plain = startsWith(value, cipher.prefix) ? open(cipher, at, value) : undefined;
      if (plain) return { value: plain, stale: cipher !== write };
    }
    return { value, stale: false };
  }

  #add(key: EncryptionKey): Cipher {
    const id = `${key.name}:${Buffer.from(key.secret).toString("base64")}`;
    const known = this.#ciphers.get(id);
    if (known) return known;
    const prefix = Buffer.from(`${PREFIX}${key.name}:`);
    const cipher = { prefix, key: createSecretKey(key.secret), bits: key.secret.length * 8 };
    this.#ciphers.set(id, cipher);
    return cipher;
  }

  /** Made once for each resource: which that is lies in the first words of the address. */
  #rowOf(at: string): Row {
    const first = at.indexOf("/", ROOT.length);
    const own = at.startsWith(OWN);
    const plural = own || first < 0 ? at : at.slice(ROOT.length, first);
    const isCore = core.has(plural);
    const name = own || isCore ? plural : at.slice(ROOT.length, at.indexOf("/", first + 1));
    let row = this.#rows.get(name);
    if (!row) {
      // Of the cluster's own its CA's key is as secret as Secrets; the rest must be readable without any key.
      const resource = own
        ? at === OWN_KEYS.identity
          ? "secrets."
          : undefined
        : isCore
          ? `${name}.`
          : name.split("/").toReversed().join(".");
      const { write, plain } = this.#ruleFor(resource);
      row = { write, plain: plain || own };
      this.#rows.set(name, row);
    }
    return row;
  }

  /** Undefined, or in no rule: kept in plain text. */
  #ruleFor(resource: string | undefined): Row {
    const rule = this.#config.rules.find((r) => r.resources.some((name) => resource && covers(name, resource)));
    if (!rule) return { write: undefined, plain: true };
    const [first] = rule.providers;
    const key = first?.type === "aesgcm" ? first.keys[0] : undefined;
    return { write: key && this.#add(key), plain: rule.providers.some((p) => p.type === "identity") };
  }
}

/** `resource`: PLURAL.GROUP, where the core group is empty. */
export function covers(name: string, resource: string): boolean {
  if (name === "*.*") return true;
  if (name.startsWith("*.")) return resource.slice(resource.indexOf(".") + 1) === name.slice(2);
  return (name.includes(".") ? name : `${name}.`) === resource;
}

function seal({ prefix, key, bits }: Cipher, at: string, value: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv(`aes-${bits as 256}-gcm`, key, nonce);
  cipher.setAAD(Buffer.from(at));
  return Buffer.concat([prefix, nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined: another key, another address, or not what was written. */
function open({ prefix, key, bits }: Cipher, at: string, value: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const body = prefix.length + NONCE;
  if (bytes.length < body + TAG) return undefined;
  const decipher = createDecipheriv(`aes-${bits as 256}-gcm`, key, bytes.subarray(prefix.length, body), {
    authTagLength: TAG,
  });
  decipher.setAAD(Buffer.from(at)).setAuthTag(bytes.subarray(-TAG));
  const plain = decipher.update(bytes.subarray(body, -TAG));
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    return undefined;
  }
}

const MARK_BYTES = Buffer.from(MARK);

function startsWith(value: Uint8Array, prefix: Buffer): boolean {
  return prefix.every((byte, i) => value[i] === byte);
}

/** No JSON begins so. */
export function isEncrypted(value: Uint8Array): boolean {
  return value[0] === MARK_BYTES[0] && startsWith(value, MARK_BYTES);
}

/** Why an object that is still encrypted cannot be shown. Names no more of it than its key's name. */
export function unreadable(at: string, value: Uint8Array): string {
  if (startsWith(value, REFUSED))
    return `unable to transform key ${JSON.stringify(at)}: it lies there in plain text, and the encryption configuration has no identity provider for it`;
  const start = Buffer.from(value.subarray(0, 200)).toString("latin1");
  const key = /^k8s:enc:[a-z]+:v\d+:([^:]*):/.exec(start)?.[1];
  const why = "the encryption configuration has no such key, or another one by that name";
  return `unable to transform key ${JSON.stringify(at)}: it was encrypted with the key ${JSON.stringify(key ?? "?")}; ${why}`;
}
