/**
 * What a store costs: the same writes through one API server on LMDB, on one etcd and on three members, all three up at
 * the same time and asked in turn, and each beside the bare client of its own store.
 */
import { EtcdCluster } from "../harness/etcd-cluster.ts";
import { EtcdServer } from "../harness/etcd.ts";
import type { Job, Load, Result } from "./api-client.ts";
import { BenchClient, withServer } from "./api-load.ts";
import type { ServerReady } from "./api-server.ts";
import { median, quantile, Report, round } from "./report.ts";

const ROUNDS = 3;
/** Writes by how many are under way at once. */
const WRITES: ReadonlyMap<number, number> = new Map([
  [1, 200],
  [8, 1_000],
  [64, 3_000],
]);
const WATCHERS = 10;
const WATCHED_WRITES = 60;
const WATCHED_EVERY_MS = 50;
const MEMBERS = 3;

interface Backend {
  readonly name: string;
  readonly server: ServerReady;
  /** The same write without an API server. */
  readonly bare: (load: Load) => Extract<Job, { load: Load }>;
}

interface Rates {
  readonly ours: number[];
  readonly bare: number[];
}

/** Turn by turn over all backends. The first round warms up. */
async function rates(client: BenchClient, backends: readonly Backend[], inFlight: number, count: number) {
  const found = new Map<Backend, Rates>(backends.map((b) => [b, { ours: [], bare: [] }]));
  for (let i = -1; i < ROUNDS; i++) {
    for (const [backend, { ours, bare }] of found) {
      const load = client.load("ConfigMap", { inFlight, count });
      const plain = await client.rate(backend.bare(load));
      const mine = await client.rate({ do: "create", server: backend.server, load });
      if (i < 0) continue;
      bare.push(plain);
      ours.push(mine);
    }
  }
  return found;
}

async function writes(report: Report, client: BenchClient, backends: readonly Backend[]): Promise<void> {
  for (const [inFlight, count] of WRITES) {
    const found = await rates(client, backends, inFlight, count);
    for (const [{ name }, { ours, bare }] of found) {
      report.row({
        what: `creates of ConfigMaps, ${inFlight} in flight, ${name}`,
        ours: `${round(median(ours))}/s`,
        peer: `${round(median(bare))}/s`,
        ratio: `${round(median(ours.map((rate, i) => rate / (bare[i] ?? Number.NaN))), 2)} ×`,
        ...(name !== LMDB && { aim: "≥ 0.8 ×" }),
      });
    }
  }
}

async function watches(report: Report, client: BenchClient, backends: readonly Backend[]): Promise<void> {
  for (const { name, server } of backends) {
    const job: Job = { do: "watch", server, watchers: WATCHERS, writes: WATCHED_WRITES, everyMs: WATCHED_EVERY_MS };
    const { ms, afterAckMs } = await client.ask<Extract<Result, { ms: unknown }>>(job);
    const both = (xs: readonly number[]) =>
      `p50 ${round(quantile(xs, 0.5), 1)} ms, p99 ${round(quantile(xs, 0.99), 1)} ms`;
    report.row({
      what: `write → event at ${WATCHERS} watchers, ${name}`,
      ours: `${both(ms)}; after the acknowledgement: ${both(afterAckMs)}`,
    });
  }
}

const LMDB = "LMDB";

export async function benchStore(): Promise<Report> {
  const report = new Report("the store", "its bare client");
  const client = new BenchClient();
  const single = await EtcdServer.start();
  const cluster = await EtcdCluster.start(MEMBERS).catch(async (error: unknown) => {
    await Promise.all([single.stop(), client.end()]);
    throw error;
  });
  // Both stay with the member they ask first, and it is the same for both.
  const bareEtcd = (endpoint: string) => (load: Load) => ({ do: "etcd", endpoint, load }) as const;
  const { endpoints } = cluster;
  try {
    await withServer("lmdb", (lmdb) =>
      withServer(single.store, (one) =>
        withServer(cluster.store, async (three) => {
          const backends: Backend[] = [
            { name: LMDB, server: lmdb, bare: (load) => ({ do: "lmdb", load }) },
            { name: "one etcd", server: one, bare: bareEtcd(single.endpoint) },
            { name: `${MEMBERS} etcd members`, server: three, bare: bareEtcd(endpoints[0] ?? "") },
          ];
          // First, while there is nothing yet that a new watcher would be shown.
          await watches(report, client, backends);
          await writes(report, client, backends);
        }),
      ),
    );
  } finally {
    await Promise.all([single.stop(), cluster.stop(), client.end()]);
  }
  return report;
}
