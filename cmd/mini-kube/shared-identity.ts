/**
 * What makes several processes on one store one cluster to its clients: the CA that signs all of them, and the key of the
 * ServiceAccounts' tokens. It is where the cluster's Secrets are: whoever reads the store has all of them anyway.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../../pkg/store/store.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { ensurePki, ensureSigningKey, replaceFile } from "../../pkg/util/pki.ts";

const KEY = "/registry/mini-kube/identity";
const FILES = ["ca.crt", "ca.key", "service-account.key"] as const;

type Identity = Readonly<Record<(typeof FILES)[number], string>>;

/** Afterwards the files in `dir` are those that all processes on the store have: the first one's. */
export async function shareIdentity(store: Store, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const known = await stored(store);
  const own = known ?? (await ownIdentity(dir));
  if (!known) {
    const value = new TextEncoder().encode(JSON.stringify(own));
    const result = await store.txn([{ key: KEY, modRevision: 0n }], [{ op: "put", key: KEY, value }]);
    if (result.ok) return;
  }
  const agreed = known ?? (await stored(store)) ?? own;
  // The key first: what does not fit together is made anew, and then does not fit to the others.
  for (const file of FILES.toReversed())
    await replaceFile(join(dir, file), agreed[file], file === "ca.crt" ? 0o644 : 0o600);
}

async function stored(store: Store): Promise<Identity | undefined> {
  const { kv } = await store.get(KEY);
  return kv && (JSON.parse(new TextDecoder().decode(kv.value)) as Identity);
}

async function ownIdentity(dir: string): Promise<Identity> {
  const [{ ca }, signing] = await Promise.all([
    ensurePki(dir, {}, systemClock),
    ensureSigningKey(dir, "service-account"),
  ]);
  return { "ca.crt": ca.cert, "ca.key": ca.key, "service-account.key": signing };
}
