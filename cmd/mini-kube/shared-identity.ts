/**
 * Whose store it is. A store holds one cluster: its record says by which CA that cluster is known, and a home with
 * another CA is refused before anything is written, here or there.
 *
 * Where several processes share the store, it also holds what makes them one cluster to its clients: the CA that signs
 * all of them, and the key of the ServiceAccounts' tokens. That is where the cluster's Secrets are, encrypted as they
 * are: whoever reads the store and has its key has all of them anyway.
 */
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { OWN_KEYS } from "../../pkg/store/own-keys.ts";
import type { Store } from "../../pkg/store/store.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { publicKeyHash } from "../../pkg/util/pki-request.ts";
import { readIfThere, replaceFile } from "../../pkg/util/files.ts";
import { ensurePki, ensureSigningKey } from "../../pkg/util/pki.ts";

/** The key first: what does not fit together is made anew, and then does not fit to the others. */
export const IDENTITY_FILES = ["service-account.key", "ca.key", "ca.crt"] as const;

type Identity = Readonly<Record<(typeof IDENTITY_FILES)[number], string>>;

export interface ClusterRecord {
  readonly uid: string;
  /** `sha256:HEX` of the CA's public key; absent after a restore without keys: the next start's CA is taken. */
  readonly caHash?: string;
}

interface IdentityOptions {
  /** Others may start on the same store, at this very moment too. */
  readonly shared: boolean;
}

/** Afterwards store and folder are of one cluster, whose record it is. Rejects when they are of two. */
export async function agreeIdentity(store: Store, dir: string, { shared }: IdentityOptions): Promise<ClusterRecord> {
  await refuseOtherCluster(store, dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const hadCa = (await readIfThere(join(dir, "ca.crt"))) !== undefined;
  if (shared) await shareFiles(store, dir);
  const { caCert } = await ensurePki(dir, {}, systemClock);
  const caHash = publicKeyHash(caCert);
  for (;;) {
    const found = await recorded(store);
    if (found?.record.caHash === caHash) return found.record;
    if (found?.record.caHash !== undefined && (hadCa || shared)) throw otherCluster(dir, found.record.caHash, caHash);
    const record: ClusterRecord = { uid: found?.record.uid ?? randomUUID(), caHash };
    if (await write(store, OWN_KEYS.cluster, record, found?.at)) return record;
  }
}

/** Rejects when the folder has the CA of another cluster than the one whose store it is; writes nothing. */
export async function refuseOtherCluster(store: Store, dir: string): Promise<void> {
  const [found, caCert] = [await recorded(store), await readIfThere(join(dir, "ca.crt"))];
  if (found?.record.caHash === undefined || caCert === undefined) return;
  const caHash = publicKeyHash(caCert);
  if (caHash !== found.record.caHash) throw otherCluster(dir, found.record.caHash, caHash);
}

function otherCluster(dir: string, has: string, own: string): Error {
  const short = (hash: string) => hash.slice(0, "sha256:".length + 12);
  return new Error(
    `the store belongs to another cluster (its CA is ${short(has)}…, the one in ${dir} is ${short(own)}…): ` +
      "give this cluster a store of its own with --store, or start it with the home or --pki-dir that the store belongs to",
  );
}

/** Afterwards the files in `dir` are those that all processes on the store have: the first one's. None that differs is replaced. */
async function shareFiles(store: Store, dir: string): Promise<void> {
  const own = Object.fromEntries(
    await Promise.all(IDENTITY_FILES.map(async (file) => [file, await readIfThere(join(dir, file))] as const)),
  ) as Partial<Identity>;
  const agreed = (await identityIn(store)) ?? (await first(store, dir, own));
  for (const file of IDENTITY_FILES) {
    if (own[file] === agreed[file]) continue;
    if (own[file] !== undefined) {
      throw new Error(
        `${join(dir, file)} is not the one of the cluster whose store this is: move it away to take the store's, or use another --store`,
      );
    }
    await replaceFile(join(dir, file), agreed[file], file === "ca.crt" ? 0o644 : 0o600);
  }
}

/** Ours, if nobody wrote one a moment sooner. Made in a folder beside, so that only what was agreed upon is ever found. */
async function first(store: Store, dir: string, own: Partial<Identity>): Promise<Identity> {
  const draft = await mkdtemp(join(dir, ".first-"));
  try {
    for (const file of IDENTITY_FILES)
      if (own[file] !== undefined) await replaceFile(join(draft, file), own[file], 0o600);
    const [{ ca }, signing] = await Promise.all([
      ensurePki(draft, {}, systemClock),
      ensureSigningKey(draft, "service-account"),
    ]);
    const identity = { "ca.crt": ca.cert, "ca.key": ca.key, "service-account.key": signing };
    if (await write(store, OWN_KEYS.identity, identity)) return identity;
    return (await identityIn(store)) ?? identity;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function identityIn(store: Store): Promise<Identity | undefined> {
  const { kv } = await store.get(OWN_KEYS.identity);
  return kv && (JSON.parse(new TextDecoder().decode(kv.value)) as Identity);
}

async function recorded(store: Store): Promise<{ record: ClusterRecord; at: bigint } | undefined> {
  const { kv } = await store.get(OWN_KEYS.cluster);
  return kv && { record: JSON.parse(new TextDecoder().decode(kv.value)) as ClusterRecord, at: kv.modRevision };
}

/** False when somebody else wrote it since. */
async function write(store: Store, key: string, value: object, at = 0n): Promise<boolean> {
  const op = { op: "put" as const, key, value: new TextEncoder().encode(JSON.stringify(value)) };
  return (await store.txn([{ key, modRevision: at }], [op])).ok;
}
