import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { EtcdTls } from "./etcd-endpoints.ts";
import { halfRestored, OWN_KEYS } from "./own-keys.ts";
import { rebased } from "./rebased.ts";
import type { Store } from "./store.ts";

/** PEM files; without a client certificate etcd must not ask for one. */
export interface TlsFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

export interface OpenStoreOptions {
  /** LMDB keeps its files in the folder `store` below. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** For `etcds://`. */
  readonly tls?: TlsFiles | undefined;
}

/**
 * The store named by `--store`, with the revisions its clients know. Rejects where it cannot be reached or is not whole.
 */
export async function openStore(spec: string, o: OpenStoreOptions): Promise<Store> {
  const store = await openBackend(spec, o);
  try {
    if ((await store.get(OWN_KEYS.restoring)).kv) throw halfRestored();
    return await rebased(store);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** As it is, whatever is in it. Adapters are loaded when asked for: etcd's gRPC costs time and memory. */
export async function openBackend(spec: string, o: OpenStoreOptions): Promise<Store> {
  const log = o.log.child({ component: "store" });
  if (spec === "memory") {
    const { MemoryStore } = await import("./memory.ts");
    return new MemoryStore();
  }
  if (spec === "lmdb") {
    const { LmdbStore } = await import("./lmdb.ts");
    const dir = lmdbDir(o.dataDir);
    const store = await LmdbStore.open(dir);
    log.info({ dir }, "opened the store");
    return store;
  }
  const endpoints = etcdEndpoints(spec);
  const tls = spec.startsWith("etcds:") ? () => readTls(o.tls ?? {}) : undefined;
  const { EtcdStore } = await import("./etcd.ts");
  return EtcdStore.open({ endpoints, tls, clock: o.clock, log });
}

export const lmdbDir = (dataDir: string) => join(dataDir, "store");

/** `etcd://10.0.0.1:2379,10.0.0.2:2379`; `etcds://` for TLS. IPv6 in brackets. */
export function etcdEndpoints(spec: string): string[] {
  const match = /^etcd(s?):\/\/(.+)$/.exec(spec);
  const hosts = match?.[2]?.replace(/\/$/, "").split(",") ?? [];
  const bad = hosts.find((host) => !isHostPort(host));
  if (hosts.length === 0 || bad !== undefined) {
    const what = bad === undefined ? "" : `: ${JSON.stringify(bad)} is not host:port`;
    throw new Error(
      `unknown store ${JSON.stringify(spec)}${what}; use lmdb, memory, or etcd://host:port[,host:port…] (etcds:// for TLS)`,
    );
  }
  return hosts.map((host) => `http${match?.[1] ?? ""}://${host}`);
}

function isHostPort(host: string): boolean {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(host);
  const port = Number(match?.[2]);
  return port > 0 && port < 65536;
}

function readTls({ caFile, certFile, keyFile }: TlsFiles): EtcdTls {
  if (caFile === undefined) throw new Error("etcds:// needs the CA of etcd's certificates: give --store-ca-file");
  if ((certFile === undefined) !== (keyFile === undefined))
    throw new Error("--store-cert-file and --store-key-file belong together: give both, or neither");
  return {
    ca: pem("--store-ca-file", caFile),
    ...(certFile !== undefined && { cert: pem("--store-cert-file", certFile) }),
    ...(keyFile !== undefined && { key: pem("--store-key-file", keyFile) }),
  };
}

function pem(flag: string, file: string): Buffer {
  const text = readFile(flag, file);
  if (!text.includes("-----BEGIN ")) throw new Error(`${flag} ${file}: a PEM file is needed`);
  return text;
}

function readFile(flag: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${flag} ${file}: ${(error as Error).message}`, { cause: error });
  }
}
