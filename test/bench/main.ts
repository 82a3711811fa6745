/**
 * The headline figures, each beside a yardstick measured in the same run. Medians and ratios; nothing here passes or fails.
 *
 *   npm run bench                            everything
 *   npm run bench -- api [--json FILE]       only the named part; an unknown one is answered with all there are
 */
import { writeFileSync } from "node:fs";
import { benchAgent } from "./agent.ts";
import { benchApi } from "./api.ts";
import { benchCompose } from "./compose.ts";
import { benchDns } from "./dns.ts";
import { benchFailover } from "./failover.ts";
import { benchIngress } from "./ingress.ts";
import { benchMemory } from "./memory.ts";
import { benchNetwork } from "./network.ts";
import { benchPods } from "./pods.ts";
import type { Report } from "./report.ts";
import { benchScheduler } from "./scheduler.ts";
import { benchServices } from "./services.ts";
import { benchStore } from "./store.ts";

const parts: Readonly<Record<string, () => Promise<Report>>> = {
  api: benchApi,
  scheduler: benchScheduler,
  pods: benchPods,
  network: benchNetwork,
  services: benchServices,
  agent: benchAgent,
  dns: benchDns,
  ingress: benchIngress,
  store: benchStore,
  failover: benchFailover,
  memory: benchMemory,
  compose: benchCompose,
};

const args = process.argv.slice(2);
const flag = args.indexOf("--json");
const json = flag < 0 ? undefined : args.splice(flag, 2)[1];
const unknown = args.find((name) => !(name in parts));
if (unknown !== undefined) throw new Error(`there is no part ${unknown}; there are ${Object.keys(parts).join(", ")}`);

const reports: Report[] = [];
for (const [name, bench] of Object.entries(parts)) {
  if (args.length === 0 || args.includes(name)) reports.push(await bench());
}
for (const report of reports) report.print();
if (json !== undefined) writeFileSync(json, `${JSON.stringify(reports, undefined, 1)}\n`);
