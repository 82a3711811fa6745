/** `mini-kube backup` and `mini-kube restore`: a cluster's records into a file and back, from one store into another. */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { SERVER_VERSION } from "../../pkg/apiserver/discovery.ts";
import { checkBackup, type KeyFile, writeBackup } from "../../pkg/store/backup.ts";
import { lmdbDir, openBackend, openStore, type TlsFiles } from "../../pkg/store/open.ts";
import { OWN_KEYS } from "../../pkg/store/own-keys.ts";
import { restore } from "../../pkg/store/restore.ts";
import { type Snapshot, snapshotOf } from "../../pkg/store/snapshot.ts";
import { rfc3339, systemClock } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { replaceFile } from "../../pkg/util/files.ts";
import { isShared } from "../component/control-plane.ts";
import { askStatus, type Home, openHome } from "./home.ts";
import { type ClusterRecord, IDENTITY_FILES } from "./shared-identity.ts";

export interface StoreFlags {
  /** `lmdb` or `etcd://host:port,…`; default: that of the running cluster, else lmdb. */
  readonly store?: string | undefined;
  readonly storeCaFile?: string | undefined;
  readonly storeCertFile?: string | undefined;
  readonly storeKeyFile?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly pkiDir?: string | undefined;
}

interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  /** Lines for the person who started it. */
  readonly say: (line: string) => void;
  /** Warnings, and how far it is. */
  readonly note: (line: string) => void;
}

export interface BackupOptions extends StoreFlags, Surroundings {
  readonly withKeys?: boolean | undefined;
}

export interface RestoreOptions extends StoreFlags, Surroundings {
  readonly force?: boolean | undefined;
}

const ENCRYPTION_FILE = "encryption.yaml";
const KEY_FILES = [...IDENTITY_FILES, ENCRYPTION_FILE];
/** How often is said how far it is. */
const PROGRESS_MS = 1_000;

/** Of the store, by itself: whether a cluster works with it meanwhile makes no difference. */
export async function backup(file: string, o: BackupOptions): Promise<void> {
  const home = openHome(o);
  const pkiDir = o.pkiDir ?? home.pki;
  const spec = o.store ?? (await askStatus(home))?.store ?? "lmdb";
  const snapshot = await openSnapshot(spec, home, o);
  try {
    const files = o.withKeys ? await keyFiles(pkiDir) : [];
    const cluster = await clusterOf(snapshot);
    const { records } = await writeBackup(file, {
      snapshot,
      files,
      ...(cluster !== undefined && { cluster }),
      // It is as secret as the files.
      without: new Set(o.withKeys ? [OWN_KEYS.offset] : [OWN_KEYS.offset, OWN_KEYS.identity]),
      createdAt: rfc3339(systemClock.now()),
      program: SERVER_VERSION.gitVersion,
      onProgress: progress("backed up", o.note),
    });
    o.say(`backed up ${records} records at revision ${snapshot.revision} to ${file}`);
    if (o.withKeys) {
      const names = files.map((f) => f.file).join(", ");
      o.note(`warning: ${file} holds the cluster's keys (${names}): whoever reads it is the cluster's administrator`);
    } else if (existsSync(join(pkiDir, ENCRYPTION_FILE))) {
      o.note(`keep ${join(pkiDir, ENCRYPTION_FILE)} as well: without it the Secrets in ${file} cannot be read`);
    }
  } finally {
    await snapshot.close();
  }
}

/** Afterwards the store holds what the file does, and nothing else. */
export async function restoreBackup(file: string, o: RestoreOptions): Promise<void> {
  const home = openHome(o);
  const pkiDir = o.pkiDir ?? home.pki;
  const running = await askStatus(home);
  if (running !== undefined) throw new Error("the cluster of this home is running: stop it first, with mini-kube down");
  const summary = await checkBackup(file);
  const hasKeys = summary.files > 0;
  const spec = o.store ?? "lmdb";
  if (spec === "memory") throw new Error("nothing restored with --store memory would be there for the next program");
  const store = await openBackend(spec, await settings(home, o));
  try {
    const restored = await restore({
      store,
      file,
      summary,
      shared: isShared(spec),
      force: o.force ?? false,
      now: systemClock.now(),
      record: (key, value) => (key === OWN_KEYS.cluster && !hasKeys ? withoutCa(value) : value),
      onProgress: progress("restored", o.note),
    });
    for (const { file: name, text } of restored.files) await putFile(pkiDir, name, text, o);
    o.say(`restored ${restored.records} records of ${summary.createdAt}; revisions go on at ${restored.revision}`);
    if (!hasKeys && !existsSync(join(pkiDir, ENCRYPTION_FILE))) {
      o.note(`if Secrets were encrypted, put the cluster's ${ENCRYPTION_FILE} into ${pkiDir} before you start it`);
    }
  } finally {
    await store.close();
  }
}

async function openSnapshot(spec: string, home: Home, o: BackupOptions): Promise<Snapshot> {
  if (spec === "memory") throw new Error("a cluster with --store memory keeps nothing that could be backed up");
  if (spec === "lmdb") {
    const { lmdbSnapshot } = await import("../../pkg/store/lmdb-snapshot.ts");
    return lmdbSnapshot(lmdbDir(home.data));
  }
  return snapshotOf(await openStore(spec, await settings(home, o)));
}

async function settings(home: Home, o: StoreFlags) {
  await mkdir(home.data, { recursive: true, mode: 0o700 });
  const tls: TlsFiles = { caFile: o.storeCaFile, certFile: o.storeCertFile, keyFile: o.storeKeyFile };
  return { dataDir: home.data, clock: systemClock, log: silent, tls };
}

async function keyFiles(dir: string): Promise<KeyFile[]> {
  const found = KEY_FILES.filter((name) => existsSync(join(dir, name)));
  if (!found.includes("ca.key"))
    throw new Error(`--with-keys: there is no ca.key in ${dir}; name its folder with --pki-dir`);
  return Promise.all(found.map(async (file) => ({ file, text: await readFile(join(dir, file), "utf8") })));
}

/** What is there and differs is somebody's: it is kept beside. */
async function putFile(dir: string, name: string, text: string, o: Pick<RestoreOptions, "note">): Promise<void> {
  if (!KEY_FILES.includes(name)) throw new Error(`the backup has a file ${name}, which is none of a cluster's`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, name);
  const before = existsSync(path) ? await readFile(path, "utf8") : undefined;
  if (before === text) return;
  if (before !== undefined) {
    await replaceFile(`${path}.before-restore`, before, 0o600);
    o.note(`${path} was another one: it is kept as ${name}.before-restore`);
  }
  await replaceFile(path, text, name === "ca.crt" ? 0o644 : 0o600);
}

/** Without the keys the cluster gets a CA of its own at its next start; it stays the same cluster. */
function withoutCa(value: Uint8Array): Uint8Array {
  const { uid } = JSON.parse(new TextDecoder().decode(value)) as ClusterRecord;
  return new TextEncoder().encode(JSON.stringify({ uid } satisfies ClusterRecord));
}

async function clusterOf(snapshot: Snapshot): Promise<string | undefined> {
  const value = await snapshot.find(OWN_KEYS.cluster);
  return value && (JSON.parse(new TextDecoder().decode(value)) as ClusterRecord).uid;
}

function progress(what: string, note: (line: string) => void): (records: number) => void {
  let said = systemClock.now();
  return (records) => {
    const now = systemClock.now();
    if (now - said < PROGRESS_MS) return;
    said = now;
    note(`${what} ${records} records …`);
  };
}
