/**
 * The API server's figures: server, client and etcd each in a process of its own, and each yardstick taken in turn with
 * what it is held against, so that a change of the machine's speed meets both.
 */
import { EtcdServer } from "../harness/etcd.ts";
import type { Job, Result } from "./api-client.ts";
import { BenchClient, KINDS, withServer } from "./api-load.ts";
import type { ServerMemory, ServerReady } from "./api-server.ts";
import type { Child } from "./child.ts";
import { median, quantile, Report, round } from "./report.ts";

const ROUNDS = 5;
const WRITES = 2_000;
const GETS = 5_000;
const IN_FLIGHT = 64;
const LISTED_PODS = 10_000;
const LISTS = 7;
const WATCHERS = [1, 100, 1_000];
const WATCHED_WRITES = 40;
const WATCHED_EVERY_MS = 100;

class ApiBench {
  readonly #client = new BenchClient();
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  end(): Promise<void> {
    return this.#client.end();
  }

  /** Creates of one kind beside the store's own rate, turn by turn. */
  async creates(
    server: ServerReady,
    kind: keyof typeof KINDS,
    peer: { name: "etcd"; endpoint: string } | { name: "lmdb" },
  ) {
    const [ours, theirs, ratios]: [number[], number[], number[]] = [[], [], []];
    for (let i = -1; i < ROUNDS; i++) {
      const load = this.#client.load(kind, { count: WRITES, inFlight: IN_FLIGHT });
      const raw = await this.#client.rate(
        peer.name === "etcd" ? { do: "etcd", endpoint: peer.endpoint, load } : { do: "lmdb", load },
      );
      const mine = await this.#client.rate({ do: "create", server, load });
      if (i < 0) continue;
      ours.push(mine);
      theirs.push(raw);
      ratios.push(mine / raw);
    }
    this.#report.row({
      what: `${IN_FLIGHT} concurrent creates of ${kind}s on ${peer.name}`,
      ours: `${round(median(ours))}/s`,
      peer: `${round(median(theirs))}/s`,
      ratio: `${round(median(ratios), 2)} ×`,
      ...(peer.name === "etcd" && { aim: "≥ 0.8 ×" }),
    });
  }

  async gets(server: ServerReady): Promise<void> {
    const written = this.#client.load("Pod", { count: GETS, inFlight: IN_FLIGHT });
    await this.#client.rate({ do: "create", server, load: written });
    const load = { ...written, path: `${KINDS.Pod.path}/NAME` };
    const rates: number[] = [];
    for (let i = 0; i < ROUNDS; i++) rates.push(await this.#client.rate({ do: "get", server, load }));
    this.#report.row({ what: `${IN_FLIGHT} concurrent gets of Pods`, ours: `${round(median(rates))}/s` });
  }

  async lists(server: ServerReady, child: Child): Promise<void> {
    const before = await child.ask<ServerMemory>("memory");
    await this.#client.rate({
      do: "create",
      server,
      load: this.#client.load("Pod", { count: LISTED_PODS, inFlight: IN_FLIGHT }),
    });
    const after = await child.ask<ServerMemory>("memory");
    for (const gzip of [false, true]) {
      const job: Job = { do: "list", server, path: KINDS.Pod.path, gzip, times: LISTS };
      const { answers } = await this.#client.ask<Extract<Result, { answers: unknown }>>(job);
      const of = (key: "firstMs" | "wholeMs" | "bytes") => median(answers.map((a) => a[key]));
      this.#report.row({
        what: `list of ${LISTED_PODS} Pods, ${gzip ? "gzip" : "JSON"}`,
        ours: `${round(of("wholeMs"))} ms (first byte ${round(of("firstMs"))} ms, ${round(of("bytes") / 1e6, 1)} MB)`,
        ...(!gzip && { aim: "< 150 ms" }),
      });
    }
    const listed = await child.ask<ServerMemory>("memory");
    const heap = (m: ServerMemory) => `${round((m.heapBytes - before.heapBytes) / 1e6)} MB`;
    this.#report.row({
      what: `memory for ${LISTED_PODS} Pods`,
      ours: `${heap(after)}; after a list ${heap(listed)}; process ${round(listed.rssBytes / 1e6)} MB`,
    });
  }

  async watches(server: ServerReady): Promise<void> {
    for (const watchers of WATCHERS) {
      const job: Job = { do: "watch", server, watchers, writes: WATCHED_WRITES, everyMs: WATCHED_EVERY_MS };
      const { ms } = await this.#client.ask<Extract<Result, { ms: unknown }>>(job);
      this.#report.row({
        what: `write → event, ${watchers} watchers`,
        ours: `p50 ${round(quantile(ms, 0.5), 1)} ms, p99 ${round(quantile(ms, 0.99), 1)} ms`,
        ...(watchers === 1_000 && { aim: "p99 < 50 ms" }),
      });
    }
  }
}

export async function benchApi(): Promise<Report> {
  const report = new Report("the API server", "the store alone");
  const bench = new ApiBench(report);
  const etcd = await EtcdServer.start();
  try {
    await withServer(etcd.store, async (server) => {
      await bench.creates(server, "ConfigMap", { name: "etcd", endpoint: etcd.endpoint });
      await bench.creates(server, "Pod", { name: "etcd", endpoint: etcd.endpoint });
    });
    await withServer("lmdb", async (server) => {
      await bench.creates(server, "ConfigMap", { name: "lmdb" });
      await bench.creates(server, "Pod", { name: "lmdb" });
      await bench.gets(server);
    });
    await withServer("lmdb", (server, child) => bench.lists(server, child));
    await withServer("lmdb", (server) => bench.watches(server));
  } finally {
    await etcd.stop();
    await bench.end();
  }
  return report;
}
