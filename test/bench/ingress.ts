/** The ingress beside no ingress: the same backends, asked through it and directly, turn by turn. */
import http from "node:http";
import type { Ingress } from "../../pkg/api/generated/types.ts";
import { buildTable } from "../../pkg/network/ingress/table.ts";
import { Child } from "./child.ts";
import type { IngressStart } from "./ingress-server.ts";
import { median, quantile, Report, round } from "./report.ts";

const ROUNDS = 5;
const REQUESTS = 8_000;
const ALONE = 2_000;
const CONNECTIONS = 32;
const BACKENDS = 2;
const INGRESSES = 1_000;

interface Load {
  /** Requests a second. */
  readonly rate: number;
  /** Of each, in ms. */
  readonly ms: number[];
}

/** Over connections that are kept, `inFlight` at a time, to the ports in turn. */
async function load(ports: readonly number[], o: { requests: number; inFlight: number }): Promise<Load> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: o.inFlight });
  const ms: number[] = [];
  let left = o.requests;
  const one = (port: number) =>
    new Promise<void>((resolve, reject) => {
      const began = performance.now();
      const options = { host: "127.0.0.1", port, agent, headers: { host: "bench.test" } };
      http
        .get(options, (res) => {
          res.resume().once("end", () => {
            ms.push(performance.now() - began);
            if (res.statusCode === 200) resolve();
            else reject(new Error(`status ${res.statusCode}`));
          });
        })
        .once("error", reject);
    });
  const worker = async () => {
    while (left-- > 0) await one(ports[left % ports.length] ?? 0);
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: o.inFlight }, worker));
  const seconds = (performance.now() - began) / 1_000;
  agent.destroy();
  return { rate: o.requests / seconds, ms };
}

/** As many Ingresses, a Service each. */
function tableTimes(): number[] {
  const ingresses: Ingress[] = Array.from({ length: INGRESSES }, (_, i) => {
    const backend = { service: { name: `s${i}`, port: { number: 80 } } };
    const http = { paths: [{ path: "/", pathType: "Prefix", backend }] };
    return { metadata: { namespace: "d", name: `i${i}` }, spec: { rules: [{ host: `h${i}.test`, http }] } };
  });
  const service = () => ({ metadata: { name: "s" }, spec: { ports: [{ name: "", port: 80 }] } });
  const endpoints = Array.from({ length: 10 }, (_, i) => ({ addresses: [`10.0.0.${i}`] }));
  const slices = () => [{ metadata: { name: "s" }, addressType: "IPv4", endpoints, ports: [{ name: "", port: 8080 }] }];
  return Array.from({ length: 20 }, () => {
    const began = performance.now();
    buildTable({ ingresses, service, slices, secretProblem: () => undefined });
    return performance.now() - began;
  });
}

export async function benchIngress(): Promise<Report> {
  const report = new Report("ingress", "direct");
  const children: Child[] = [];
  const start = async (message: IngressStart): Promise<number> => {
    const child = new Child("ingress-server.ts");
    children.push(child);
    return (await child.ask<{ port: number }>(message)).port;
  };
  try {
    const backends: number[] = [];
    for (let i = 0; i < BACKENDS; i++) backends.push(await start({ do: "backend" }));
    const ingress = [await start({ do: "proxy", to: backends })];
    for (const [what, o] of [
      [`requests over ${CONNECTIONS} kept connections`, { requests: REQUESTS, inFlight: CONNECTIONS }],
      ["one request after the other", { requests: ALONE, inFlight: 1 }],
    ] as const) {
      const [ours, theirs]: [Load[], Load[]] = [[], []];
      for (let i = -1; i < ROUNDS; i++) {
        const [direct, through] = [await load(backends, o), await load(ingress, o)];
        if (i < 0) continue;
        theirs.push(direct);
        ours.push(through);
      }
      const shown = (all: readonly Load[]) => {
        const ms = all.flatMap((l) => l.ms);
        const rate = round(median(all.map((l) => l.rate)));
        return `${rate}/s (p50 ${round(quantile(ms, 0.5), 2)} ms, p99 ${round(quantile(ms, 0.99), 2)} ms)`;
      };
      const ratio = median(ours.map((l) => l.rate)) / median(theirs.map((l) => l.rate));
      report.row({ what, ours: shown(ours), peer: shown(theirs), ratio: `${round(ratio, 2)} ×` });
    }
    const times = tableTimes();
    const what = `routes of ${INGRESSES} Ingresses, computed`;
    report.row({ what, ours: `${round(median(times), 1)} ms (p99 ${round(quantile(times, 0.99), 1)} ms)` });
  } finally {
    for (const child of children) await child.end();
  }
  return report;
}
