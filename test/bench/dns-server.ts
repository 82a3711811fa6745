/** The server of dns.ts, in a process of its own: the cluster's DNS with as many Services as asked for, or a mere echo. */
import { createSocket } from "node:dgram";
import { networkInterfaces } from "node:os";
import { namespaces } from "../../pkg/api/kinds/core/namespace.ts";
import { services } from "../../pkg/api/kinds/core/service.ts";
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { Client } from "../../pkg/client/client.ts";
import { Informers } from "../../pkg/informer/informers.ts";
import { runDns } from "../../pkg/network/dns/dns.ts";
import { MemoryStore } from "../../pkg/store/memory.ts";
import { systemClock, systemRandom } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";

/** So many Services `service-0`, … of the namespace `apps`. Absent: what comes in goes back, the least that a server in Node can do. */
export interface DnsJob {
  readonly services?: number;
}

export interface DnsPlace {
  readonly address: string;
  readonly port: number;
}

const CREATED_AT_ONCE = 200;

/** Endpoints may not be on the loopback. */
function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find((a) => a.family === "IPv4" && !a.internal)?.address ?? "127.0.0.1";
}

function echo(address: string): Promise<DnsPlace> {
  const socket = createSocket("udp4");
  socket.on("message", (bytes, from) => {
    bytes.writeUInt16BE(0x8180, 2);
    socket.send(bytes, from.port, from.address);
  });
  return new Promise((resolve) => socket.bind(0, address, () => resolve({ address, port: socket.address().port })));
}

async function dns(address: string, count: number): Promise<DnsPlace> {
  const parts = { clock: systemClock, random: systemRandom, log: silent };
  const server = await ApiServer.open({ ...parts, store: new MemoryStore() });
  const client = new Client(server.transport(), "bench");
  await client.resource(namespaces).create({ metadata: { name: "apps" } });
  for (let first = 0; first < count; first += CREATED_AT_ONCE) {
    const some = Array.from({ length: Math.min(CREATED_AT_ONCE, count - first) }, (_, i) => first + i);
    const spec = { ports: [{ name: "http", port: 80 }] };
    await Promise.all(
      some.map((n) => client.resource(services, "apps").create({ metadata: { name: `service-${n}` }, spec })),
    );
  }
  const informers = new Informers({ ...parts, client });
  const forever = new AbortController().signal;
  void informers.run(forever);
  return new Promise((resolve, reject) => {
    const onListening = ({ port }: { port: number }) => resolve({ address, port });
    const own = { address, serviceAddress: "10.96.0.10", port: 0, metricsPort: 0, nodeName: "bench", onListening };
    runDns({ ...parts, ...own, client, informers }, forever).catch(reject);
  });
}

process.on("message", (job: DnsJob) => {
  const address = machineAddress();
  const place = job.services === undefined ? echo(address) : dns(address, job.services);
  place.then(
    (at) => process.send?.(at),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
