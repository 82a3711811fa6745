/**
 * The API server alone in a process: forked by api.ts, which talks to it over HTTPS like anybody else. The messages of
 * the parent only start it and ask for its memory.
 */
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { listen } from "../../pkg/apiserver/http.ts";
import { openStore } from "../../pkg/store/open.ts";
import { systemClock, systemRandom } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { createCa, issueCert } from "../../pkg/util/pki.ts";

export interface ServerStart {
  /** As `mini-kube up --store`. */
  readonly store: string;
  readonly dataDir: string;
}

export interface ServerReady {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface ServerMemory {
  /** After a garbage collection. */
  readonly heapBytes: number;
  readonly rssBytes: number;
  /** All that the process has used so far. */
  readonly cpuMs: number;
}

async function serve(start: ServerStart): Promise<ServerReady> {
  const now = systemClock.now();
  const ca = await createCa("bench-ca", now);
  const issue = (commonName: string, usage: "client" | "server") =>
    issueCert(ca, { commonName, organizations: ["system:masters"], ips: ["127.0.0.1"], usages: [usage] }, now);
  const store = await openStore(start.store, { dataDir: start.dataDir, clock: systemClock, log: silent });
  const api = await ApiServer.open({ store, clock: systemClock, random: systemRandom, log: silent });
  const admin = await issue("admin", "client");
  const listener = await listen(api, {
    host: "127.0.0.1",
    port: 0,
    tls: { ...(await issue("apiserver", "server")), clientCa: ca.cert },
    agentTls: { ...admin, ca: ca.cert },
    log: silent,
  });
  process.once("disconnect", () => {
    void listener
      .close()
      .then(() => api.close())
      .then(() => store.close())
      .finally(() => process.exit(0));
  });
  return { port: listener.port, ca: ca.cert, ...admin };
}

function memory(): ServerMemory {
  globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return { heapBytes: heapUsed + external, rssBytes: rss, cpuMs: (user + system) / 1000 };
}

process.on("message", (message: ServerStart | "memory") => {
  if (message === "memory") process.send?.(memory());
  else void serve(message).then((ready) => process.send?.(ready));
});
