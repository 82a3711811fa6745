/**
 * Nodes in a process of their own: real agents that speak HTTPS to real API servers, each as its own node, over runtimes
 * that only pretend. Forked by programs.ts; what has to be done to lose them all at once is to kill the process.
 */
import { setMaxListeners } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runAgent } from "../../pkg/agent/agent.ts";
import { Client } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import type { Connection } from "../../pkg/client/kubeconfig.ts";
import { FakeRuntime } from "../../pkg/runtime/fake.ts";
import { seededRandom, systemClock, systemRandom } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { issueCert, type KeyPair } from "../../pkg/util/pki.ts";

export interface FakeNodesJob {
  /** Whose certificate is replaced by each node's own. */
  readonly connection: Connection;
  readonly ca: KeyPair;
  readonly names: readonly string[];
  readonly dataDir: string;
}

/** On these nodes; it runs at once and for ever. */
export const FAKE_IMAGE = "app";

const MACHINE = { diskTotal: 1e11, diskAvailable: 5e10, memoryAvailable: 4e9, machineId: "m", bootId: "b" };
const forever = new AbortController().signal;
setMaxListeners(0, forever);

async function startNode(job: FakeNodesJob, nodeName: string, n: number): Promise<void> {
  const identity = { commonName: `system:node:${nodeName}`, organizations: ["system:nodes"] };
  const pair = await issueCert(job.ca, { ...identity, usages: ["client"] }, systemClock.now());
  const dataDir = join(job.dataDir, nodeName);
  mkdirSync(dataDir, { recursive: true });
  const runtime = new FakeRuntime({
    clock: systemClock,
    random: seededRandom(n + 1),
    info: { cpus: 64 },
    images: [FAKE_IMAGE],
    subnet: `10.0.${n}`,
  });
  const transport = new HttpTransport({ connection: { ...job.connection, ...pair } });
  const client = new Client(transport, "kubelet");
  const address = `192.168.0.${n + 1}`;
  const parts = { clock: systemClock, random: systemRandom, log: silent };
  const agent = { ...parts, client, runtime, nodeName, address, dataDir, measure: () => Promise.resolve(MACHINE) };
  runAgent(agent, forever).catch((error: unknown) => {
    process.stderr.write(`${nodeName}: ${String(error)}\n`);
    process.exit(1);
  });
}

process.on("message", (job: FakeNodesJob) => {
  Promise.all(job.names.map((name, n) => startNode(job, name, n)))
    .then(() => process.send?.({ started: job.names.length }))
    .catch((error: unknown) => process.send?.({ error: String(error) }));
});
process.once("disconnect", () => process.exit(0));
