import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initPki } from "../../cmd/mini-kube/pki.ts";
import type { ConfigMap } from "../../pkg/api/generated/types.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { Client } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import { loadKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { freePort } from "../harness/cluster.ts";
import { EtcdServer } from "../harness/etcd.ts";
import { eventually, Running } from "../harness/process.ts";
import { keyFlags, programFile } from "../harness/programs.ts";

/** SIGTERM of one of two API servers, as at each upgrade: nobody who works with them notices. */
const WRITERS = 8;
const STOP_MS = 10_000;
let dir: string;
let etcd: EtcdServer;
let ports: readonly number[];
const servers: Running[] = [];
let transport: HttpTransport;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "graceful-"));
  etcd = await EtcdServer.start();
  ports = [await freePort(), await freePort()];
  const pki = join(dir, "pki");
  await initPki(pki, { servers: ports.map((port) => `https://127.0.0.1:${port}`), clock: systemClock });
  await Promise.all([start(0), start(1)]);
  const admin = loadKubeconfig({ files: [join(pki, "admin.kubeconfig")], required: true });
  transport = new HttpTransport({ connection: resolveContext(admin).connection });
});
afterAll(async () => {
  transport?.close();
  for (const s of servers) s.kill("SIGKILL");
  await Promise.all(servers.map((s) => s.exited));
  await etcd?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function start(i: number): Promise<void> {
  const keys = keyFlags(join(dir, "pki")).apiserver;
  const served = ["--bind-address", "127.0.0.1", "--port", String(ports[i]), "--observe-address", "127.0.0.1:0"];
  const program = new Running(process.execPath, [programFile("apiserver"), "--store", etcd.store, ...keys, ...served]);
  servers[i] = program;
  await program.until(/the API is served/);
}

/** Creates one after the other until told to end; gives what it was told it had made. Rejects with the first error. */
async function write(client: Client, writer: number, stop: AbortSignal): Promise<string[]> {
  const made: string[] = [];
  const resource = client.resource<ConfigMap>(configMaps, "default");
  for (let i = 0; !stop.aborted; i++) {
    const name = `w${writer}-${i}`;
    await resource.create({ metadata: { name }, data: { i: String(i) } });
    made.push(name);
  }
  return made;
}

test("writers and readers go on, without an error; each server ends with 0, in time", async () => {
  const client = new Client(transport, "writer");
  const stop = new AbortController();
  const done = Array.from({ length: WRITERS }, (_, w) => write(client, w, stop.signal));
  const count = async () => (await client.resource(configMaps, "default").list()).items.length;
  const codes: number[] = [];
  for (const i of [0, 1]) {
    const before = await count();
    await eventually(count, (n) => n > before + 100);
    const began = performance.now();
    servers[i]?.kill("SIGTERM");
    codes.push((await servers[i]?.exited) ?? -1);
    expect(performance.now() - began).toBeLessThan(STOP_MS);
    const then = await count();
    expect(await eventually(count, (n) => n > then + 100)).toBeGreaterThan(then + 100);
    await start(i);
  }
  stop.abort();
  const made = (await Promise.all(done)).flat();
  const there = new Set((await client.resource(configMaps, "default").list()).items.map((c) => c.metadata.name));
  expect(codes).toEqual([0, 0]);
  expect(made.filter((name) => !there.has(name))).toEqual([]);
});
