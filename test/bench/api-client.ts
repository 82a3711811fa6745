/**
 * The benchmark's client in a process of its own, forked by api.ts: one job in, one result out. Beside API calls it does
 * the same writes straight to etcd and to LMDB: the peers that the API server is held against.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { Etcd3 } from "etcd3";
import { open } from "lmdb";
import type { ServerReady } from "./api-server.ts";
import { type Answer, Connection } from "./connection.ts";

export type Job =
  | { readonly do: "create"; readonly server: ServerReady; readonly load: Load }
  | { readonly do: "get"; readonly server: ServerReady; readonly load: Load }
  | {
      readonly do: "list";
      readonly server: ServerReady;
      readonly path: string;
      readonly gzip: boolean;
      readonly times: number;
    }
  | {
      readonly do: "watch";
      readonly server: ServerReady;
      readonly watchers: number;
      readonly writes: number;
      readonly everyMs: number;
    }
  | { readonly do: "etcd"; readonly endpoint: string; readonly load: Load }
  | { readonly do: "lmdb"; readonly load: Load };

export interface Load {
  /** `NAME` in path and body is replaced by a new name each time. */
  readonly path: string;
  readonly body: string;
  readonly prefix: string;
  readonly count: number;
  readonly inFlight: number;
}

/** Per second, for loads; latencies in milliseconds, for watches; answers, for lists. */
export type Result =
  | { readonly rate: number }
  /** From the moment a write is sent, and from the one it is acknowledged in, to its event at each watcher; 0: it was there before. */
  | { readonly ms: readonly number[]; readonly afterAckMs: readonly number[] }
  | { readonly answers: readonly Answer[] };

const WATCH_DRAIN_MS = 2_000;
/** With what an event's object is found in its line: nothing is parsed, a thousand watchers are one process here. */
const NAME = Buffer.from('"metadata":{"name":"');

async function work(job: Job): Promise<Result> {
  switch (job.do) {
    case "create":
      return overConnections(job.server, job.load, (c, name) =>
        expectCode(201, c.ask("POST", job.load.path, { body: job.load.body.replaceAll("NAME", name) })),
      );
    case "get":
      return overConnections(job.server, job.load, (c, name) =>
        expectCode(200, c.ask("GET", job.load.path.replaceAll("NAME", name))),
      );
    case "list":
      return { answers: await list(job) };
    case "watch":
      return watch(job);
    case "etcd":
      return etcd(job.endpoint, job.load);
    case "lmdb":
      return lmdb(job.load);
  }
}

async function overConnections(
  server: ServerReady,
  load: Load,
  one: (c: Connection, name: string) => Promise<unknown>,
): Promise<Result> {
  const connections = await Promise.all(Array.from({ length: load.inFlight }, () => Connection.open(server)));
  try {
    return await atOnce(load, (name, i) => one(connections[i] as Connection, name));
  } finally {
    for (const c of connections) c.close();
  }
}

/** `count` pieces of work, `inFlight` at a time. */
async function atOnce(load: Load, one: (name: string, worker: number) => Promise<unknown>): Promise<Result> {
  let next = 0;
  const worker = async (_: unknown, i: number) => {
    while (next < load.count) await one(`${load.prefix}-${next++}`, i);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: load.inFlight }, worker));
  return { rate: load.count / ((performance.now() - started) / 1000) };
}

async function expectCode(code: number, asked: Promise<Answer>): Promise<Answer> {
  const answer = await asked;
  if (answer.code !== code) throw new Error(`the server answered ${answer.code}, not ${code}`);
  return answer;
}

async function list(job: Extract<Job, { do: "list" }>): Promise<Answer[]> {
  const c = await Connection.open(job.server);
  const answers: Answer[] = [];
  const headers = job.gzip ? "Accept-Encoding: gzip\r\n" : "";
  for (let i = 0; i <= job.times; i++) {
    const answer = await expectCode(200, c.ask("GET", job.path, { headers }));
    // The first one warms up.
    if (i > 0) answers.push(answer);
  }
  c.close();
  return answers;
}

interface Written {
  readonly sentAt: number;
  ackedAt: number;
  readonly heardAt: number[];
}

async function watch(job: Extract<Job, { do: "watch" }>): Promise<Extract<Result, { ms: unknown }>> {
  const writes = new Map<string, Written>();
  let heard = 0;
  const path = "/api/v1/namespaces/default/configmaps";
  const hear = (chunk: Buffer) => {
    const now = performance.now();
    for (let at = chunk.indexOf(NAME); at >= 0; at = chunk.indexOf(NAME, at + 1)) {
      const begin = at + NAME.length;
      const write = writes.get(chunk.toString("latin1", begin, chunk.indexOf('"', begin)));
      if (!write) continue;
      write.heardAt.push(now);
      heard++;
    }
  };
  const sockets = await Promise.all(Array.from({ length: job.watchers }, () => openWatch(job.server, path, hear)));
  const writer = await Connection.open(job.server);
  for (let i = 0; i < job.writes; i++) {
    await new Promise((resolve) => setTimeout(resolve, job.everyMs));
    const name = `watched-${job.watchers}-${i}`;
    const body = JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name },
      data: { k: "x".repeat(256) },
    });
    const write: Written = { sentAt: performance.now(), ackedAt: 0, heardAt: [] };
    writes.set(name, write);
    await expectCode(201, writer.ask("POST", path, { body }));
    write.ackedAt = performance.now();
  }
  const expected = job.watchers * job.writes;
  for (let waited = 0; heard < expected && waited < WATCH_DRAIN_MS; waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  writer.close();
  for (const s of sockets) s.destroy();
  if (heard !== expected) throw new Error(`${heard} events arrived, not ${expected}`);
  const all = [...writes.values()];
  return {
    ms: all.flatMap((w) => w.heardAt.map((at) => at - w.sentAt)),
    afterAckMs: all.flatMap((w) => w.heardAt.map((at) => Math.max(0, at - w.ackedAt))),
  };
}

/** Resolves with the answer's head; `hear` gets what follows. */
function openWatch(server: ServerReady, path: string, hear: (chunk: Buffer) => void) {
  const { port, ca, cert, key } = server;
  return new Promise<ReturnType<typeof connect>>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca, cert, key }, () => {
      socket.write(`GET ${path}?watch=1&allowWatchBookmarks=true&resourceVersion=0 HTTP/1.1\r\nHost: bench\r\n\r\n`);
    });
    socket.once("error", reject);
    socket.once("data", (head: Buffer) => {
      if (!head.toString("latin1", 0, 15).includes(" 200")) return reject(new Error(head.toString()));
      socket.on("data", hear);
      resolve(socket);
    });
  });
}

async function etcd(endpoint: string, load: Load): Promise<Result> {
  const client = new Etcd3({ hosts: endpoint });
  try {
    return await atOnce(load, async (name) => {
      const key = `/peer${load.path}/${name}`;
      const put = client.put(key).value(load.body.replaceAll("NAME", name));
      const { succeeded } = await client.if(key, "Create", "==", 0).then(put).commit();
      if (!succeeded) throw new Error(`${key} was there`);
    });
  } finally {
    client.close();
  }
}

async function lmdb(load: Load): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), "mk-bench-lmdb-"));
  const db = open<Buffer, string>({ path: dir, noSubdir: false, encoding: "binary", overlappingSync: false });
  try {
    return await atOnce(load, async (name) => {
      const put = db.ifNoExists(name, () => void db.put(name, Buffer.from(load.body.replaceAll("NAME", name))));
      if (!(await put)) throw new Error(`${name} was there`);
    });
  } finally {
    await db.close();
    rmSync(dir, { recursive: true });
  }
}

process.on("message", (job: Job) => {
  void work(job)
    .then((result) => process.send?.(result))
    .catch((error: unknown) => process.send?.({ error: String(error) }));
});
process.once("disconnect", () => process.exit(0));
