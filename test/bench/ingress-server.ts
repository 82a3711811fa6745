/** Forked by ingress.ts: a backend that answers 1 KiB, or an ingress proxy in front of one. */
import http from "node:http";
import { IngressProxy } from "../../pkg/network/ingress/proxy.ts";
import { DEFAULT_SETTINGS } from "../../pkg/network/ingress/settings.ts";
import type { HostRoutes, Table } from "../../pkg/network/ingress/table.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { createCa, issueCert } from "../../pkg/util/pki.ts";

export type IngressStart = { readonly do: "backend" } | { readonly do: "proxy"; readonly to: readonly number[] };

const HOST = "127.0.0.1";

async function backend(): Promise<number> {
  const body = Buffer.alloc(1_024, "x");
  const server = http.createServer((_, res) => res.end(body));
  await new Promise<void>((done) => server.listen(0, HOST, done));
  const address = server.address();
  return address && typeof address === "object" ? address.port : 0;
}

function tableTo(ports: readonly number[]): Table {
  const endpoints = ports.map((port) => ({ key: `${HOST}:${port}`, host: HOST, port, tls: false }));
  const route = { ingress: "d/i", path: "/", backend: { name: "d/s:80", endpoints }, settings: DEFAULT_SETTINGS };
  const none: HostRoutes = { exact: new Map(), prefixes: new Map() };
  return {
    exactHosts: new Map([["bench.test", { ...none, prefixes: new Map([["", route]]) }]]),
    wildcardHosts: new Map(),
    anyHost: none,
    certificates: new Map(),
    problems: [],
  };
}

async function proxy(to: readonly number[]): Promise<number> {
  const ca = await createCa("bench", systemClock.now());
  const defaultCertificate = await issueCert(ca, { commonName: "bench", usages: ["server"] }, systemClock.now());
  const o = { clock: systemClock, log: silent, table: tableTo(to), certificate: () => undefined, defaultCertificate };
  return new IngressProxy(o).listen({ host: HOST, port: 0, tls: false });
}

process.on("message", (start: IngressStart) => {
  void (start.do === "backend" ? backend() : proxy(start.to)).then((port) => process.send?.({ port }));
});
process.once("disconnect", () => process.exit(0));
