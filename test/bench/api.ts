/**
 * The API server's figures: server, client and etcd each in a process of its own, and each yardstick taken in turn with
 * what it is held against, so that a change of the machine's speed meets both.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EtcdServer } from "../harness/etcd.ts";
import type { Job, Load, Result } from "./api-client.ts";
import type { ServerMemory, ServerReady, ServerStart } from "./api-server.ts";
import { Child } from "./child.ts";
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

const CONFIG_MAP = {
  path: "/api/v1/namespaces/default/configmaps",
  body: JSON.stringify({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "NAME", labels: { app: "bench" } },
    data: { "config.yaml": "x".repeat(256) },
  }),
};
const POD = {
  path: "/api/v1/namespaces/default/pods",
  body: JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "NAME", labels: { app: "bench", "pod-template-hash": "5d59d67564" } },
    spec: {
      containers: [
        {
          name: "app",
          image: "nginx:1.27",
          ports: [{ containerPort: 80 }],
          env: [{ name: "LOG", value: "info" }],
          resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { memory: "128Mi" } },
          readinessProbe: { httpGet: { path: "/", port: 80 } },
        },
      ],
    },
  }),
};
const KINDS = { ConfigMap: CONFIG_MAP, Pod: POD };

/** A server on a store of its own, for as long as `use` takes. */
async function withServer(store: string, use: (server: ServerReady, child: Child) => Promise<void>): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "mk-bench-"));
  const child = new Child("api-server.ts");
  try {
    await use(await child.ask<ServerReady>({ store, dataDir } satisfies ServerStart), child);
  } finally {
    await child.end();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

class ApiBench {
  readonly #client = new Child("api-client.ts");
  readonly #report: Report;
  #loads = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  end(): Promise<void> {
    return this.#client.end();
  }

  async #rate(job: Extract<Job, { load: Load }>): Promise<number> {
    return (await this.#client.ask<Extract<Result, { rate: number }>>(job)).rate;
  }

  #load(kind: { path: string; body: string }, count: number): Load {
    return { ...kind, prefix: `n${this.#loads++}`, count, inFlight: IN_FLIGHT };
  }

  /** Creates of one kind beside the store's own rate, turn by turn. */
  async creates(
    server: ServerReady,
    kind: keyof typeof KINDS,
    peer: { name: "etcd"; endpoint: string } | { name: "lmdb" },
  ) {
    const [ours, theirs, ratios]: [number[], number[], number[]] = [[], [], []];
    for (let i = -1; i < ROUNDS; i++) {
      const load = this.#load(KINDS[kind], WRITES);
      const raw = await this.#rate(
        peer.name === "etcd" ? { do: "etcd", endpoint: peer.endpoint, load } : { do: "lmdb", load },
      );
      const mine = await this.#rate({ do: "create", server, load });
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
    const written = this.#load(POD, GETS);
    await this.#rate({ do: "create", server, load: written });
    const load = { ...written, path: `${POD.path}/NAME` };
    const rates: number[] = [];
    for (let i = 0; i < ROUNDS; i++) rates.push(await this.#rate({ do: "get", server, load }));
    this.#report.row({ what: `${IN_FLIGHT} concurrent gets of Pods`, ours: `${round(median(rates))}/s` });
  }

  async lists(server: ServerReady, child: Child): Promise<void> {
    const before = await child.ask<ServerMemory>("memory");
    await this.#rate({ do: "create", server, load: this.#load(POD, LISTED_PODS) });
    const after = await child.ask<ServerMemory>("memory");
    for (const gzip of [false, true]) {
      const job: Job = { do: "list", server, path: POD.path, gzip, times: LISTS };
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
    await withServer(etcd.endpoint.replace("http://", "etcd://"), async (server) => {
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
