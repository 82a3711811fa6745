import { join } from "node:path";
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { Store } from "./store.ts";

export interface OpenStoreOptions {
  /** LMDB keeps its files in the folder `store` below. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The store named by `--store`. Adapters are loaded when asked for: etcd's gRPC costs time and memory. */
export async function openStore(spec: string, o: OpenStoreOptions): Promise<Store> {
  const log = o.log.child({ component: "store" });
  if (spec === "memory") {
    const { MemoryStore } = await import("./memory.ts");
    return new MemoryStore();
  }
  if (spec === "lmdb") {
    const { LmdbStore } = await import("./lmdb.ts");
    const dir = join(o.dataDir, "store");
    const store = await LmdbStore.open(dir);
    log.info({ dir }, "opened the store");
    return store;
  }
  const endpoints = etcdEndpoints(spec);
  const { EtcdStore } = await import("./etcd.ts");
  return new EtcdStore({ endpoints, clock: o.clock, log });
}

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
