/** Asks a cluster for what `status` tells of it. What does not answer is named, and keeps nothing else from being told. */
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import type { CertificateSigningRequest, Lease, Node, Pod } from "../../api/generated/types.ts";
import { leases } from "../../api/kinds/coordination/lease.ts";
import { certificateSigningRequests } from "../../api/kinds/certificates/certificatesigningrequest.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { nameOf } from "../../api/object.ts";
import { apiServerAddresses } from "../../client/api-servers.ts";
import { Client } from "../../client/client.ts";
import { HttpTransport } from "../../client/http.ts";
import type { Connection } from "../../client/kubeconfig.ts";
import type { Clock } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ApiServerFacts, Certificate, ClusterFacts, LeaderFacts, NodeFacts, StoreFacts } from "./facts.ts";

export interface CollectOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  /** PEM texts of this machine, by whose they are. */
  readonly certificates?: Readonly<Record<string, string>>;
}

const CONNECT_MS = 3_000;
const ANSWER_MS = 10_000;
const LEADERS = ["kube-scheduler", "kube-controller-manager"];
const PRESSURES = new Set(["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"]);
const CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";
/** No more machines than this are asked for their certificates, so many at a time. */
const MAX_HANDSHAKES = 50;

/** As an API server tells of its process at `/debug/process`. */
interface ProcessReport {
  readonly startedAt?: string;
  readonly components?: readonly string[];
}

/** Rejects only if the API does not answer at all. */
export async function collect(o: CollectOptions): Promise<ClusterFacts> {
  const transport = transportTo(o.connection);
  try {
    const { body, headers } = await transport.raw("GET", "/version");
    body.resume();
    const now = Date.parse(headers.date ?? "") || o.clock.now();
    return await new Collector(o, transport).collect(now);
  } finally {
    transport.close();
  }
}

const transportTo = (connection: Connection) =>
  new HttpTransport({
    connection,
    userAgent: "mini-kube-status",
    connectTimeoutMs: CONNECT_MS,
    answerTimeoutMs: ANSWER_MS,
  });

class Collector {
  readonly #o: CollectOptions;
  readonly #transport: HttpTransport;
  readonly #client: Client;
  readonly #unknown: { what: string; why: string }[] = [];

  constructor(o: CollectOptions, transport: HttpTransport) {
    this.#o = o;
    this.#transport = transport;
    this.#client = new Client(transport, "mini-kube-status");
  }

  async collect(now: number): Promise<ClusterFacts> {
    const { connection, clock } = this.#o;
    const aheadMs = clock.now() - now;
    const [version, report, systemLeases, beats, machines, all, requests, store] = await Promise.all([
      this.#json<{ gitVersion: string }>("/version"),
      this.#json<ProcessReport>("/debug/process").catch((): ProcessReport => ({})),
      this.#ask("leaders", async () => (await this.#client.resource<Lease>(leases, "kube-system").list()).items),
      this.#ask("heartbeats", async () => (await this.#client.resource<Lease>(leases, "kube-node-lease").list()).items),
      this.#ask("nodes", async () => (await this.#client.resource<Node>(nodes).list()).items),
      this.#ask("Pods", async () => (await this.#client.resource<Pod>(pods).list()).items),
      this.#ask("certificate requests", async () => {
        const kind = this.#client.resource<CertificateSigningRequest>(certificateSigningRequests);
        return (await kind.list({ fieldSelector: `spec.signerName=${CLIENT_SIGNER}` })).items;
      }),
      this.#ask("store", () => this.#json<StoreFacts>("/debug/store")),
    ]);
    const addresses = apiServerAddresses(systemLeases ?? []);
    const [apiServers, handshakes] = await Promise.all([
      this.#apiServers(addresses),
      this.#handshakes(machines ?? [], addresses),
    ]);
    const waiting = (all ?? []).filter((p) => p.status?.phase === "Pending" && !p.spec?.nodeName);
    const since = waiting.map((p) => p.metadata.creationTimestamp ?? "").toSorted()[0];
    return {
      now: new Date(now).toISOString(),
      aheadMs: Math.abs(aheadMs) < 2_000 ? 0 : aheadMs, // the server tells whole seconds
      server: connection.server,
      version: version.gitVersion,
      inProcess: report.components ?? [],
      apiServers,
      leaders: leadersOf(systemLeases ?? []),
      ...(store?.kind !== undefined && { store }),
      nodes: nodesOf(machines ?? [], beats ?? [], all ?? []),
      pods: Object.fromEntries(countBy(all ?? [], (p) => p.status?.phase ?? "Unknown")),
      ...(since !== undefined && { waiting: { count: waiting.length, since } }),
      images: new Set((machines ?? []).flatMap((n) => n.status?.images ?? []).map((i) => i.names?.at(-1) ?? "")).size,
      certificates: [...this.#own(), ...handshakes, ...issued(requests ?? [])],
      unknown: this.#unknown,
    };
  }

  async #json<T>(path: string, transport = this.#transport): Promise<T> {
    return JSON.parse(await transport.text(path)) as T;
  }

  async #ask<T>(what: string, how: () => Promise<T>): Promise<T | undefined> {
    try {
      return await how();
    } catch (error) {
      this.#unknown.push({ what, why: (error as Error).message.split("\n")[0] ?? "" });
      return undefined;
    }
  }

  /** Each by itself; those the kubeconfig names, if none says of itself where it is. */
  async #apiServers(addresses: readonly string[]): Promise<readonly ApiServerFacts[]> {
    const { connection } = this.#o;
    const known = [connection.server, ...(connection.others ?? [])].map((server) => new URL(server).host);
    const all = addresses.length > 0 ? addresses : known;
    return Promise.all(
      all.map(async (address) => {
        const transport = transportTo({ ...connection, server: `https://${address}`, others: [] });
        try {
          const { gitVersion } = await this.#json<{ gitVersion: string }>("/version", transport);
          const report = await this.#json<ProcessReport>("/debug/process", transport).catch((): ProcessReport => ({}));
          const failed = await failedChecks(transport);
          return { address, version: gitVersion, failed, ...(report.startedAt && { startedAt: report.startedAt }) };
        } catch (error) {
          return { address, failed: [], error: (error as Error).message.split("\n")[0] ?? "" };
        } finally {
          transport.close();
        }
      }),
    );
  }

  /** Of this machine's files and of who asks. */
  #own(): readonly Certificate[] {
    const { certificates = {}, connection } = this.#o;
    const own = { "your CA": connection.ca, "your kubeconfig": connection.cert, ...certificates };
    return Object.entries(own).flatMap(([of, pem]) => (pem === undefined ? [] : certificateOf(of, pem)));
  }

  async #handshakes(
    machines: readonly DeepReadonly<Node>[],
    addresses: readonly string[],
  ): Promise<readonly Certificate[]> {
    const agents = machines.flatMap((n) => {
      const ip = n.status?.addresses?.find((a) => a.type === "InternalIP")?.address;
      const port = n.status?.daemonEndpoints?.kubeletEndpoint?.Port;
      return ip === undefined || port === undefined ? [] : [{ of: `node ${nameOf(n)}'s agent`, at: `${ip}:${port}` }];
    });
    const servers = addresses.map((at) => ({ of: `the API server at ${at}`, at }));
    const seen = await Promise.all(
      [...servers, ...agents].slice(0, MAX_HANDSHAKES).map(({ of, at }) => servingCertificate(of, at)),
    );
    return seen.flatMap((c) => c ?? []);
  }
}

async function failedChecks(transport: HttpTransport): Promise<readonly string[]> {
  try {
    await transport.text("/readyz");
    return [];
  } catch (error) {
    return [...(error as Error).message.matchAll(/\[-\](\S+)/g)].map((m) => m[1] ?? "");
  }
}

function leadersOf(all: readonly DeepReadonly<Lease>[]): readonly LeaderFacts[] {
  return all
    .filter((l) => LEADERS.includes(nameOf(l)))
    .map(({ metadata, spec }) => ({
      name: metadata.name ?? "",
      ...(spec?.holderIdentity && { holder: spec.holderIdentity }),
      ...(spec?.renewTime && { renewedAt: spec.renewTime }),
      leaseSeconds: spec?.leaseDurationSeconds ?? 15,
    }));
}

function nodesOf(
  machines: readonly DeepReadonly<Node>[],
  beats: readonly DeepReadonly<Lease>[],
  all: readonly DeepReadonly<Pod>[],
): readonly NodeFacts[] {
  const perNode = countBy(
    all.filter((p) => p.status?.phase === "Running" || p.status?.phase === "Pending"),
    (p) => p.spec?.nodeName ?? "",
  );
  return machines.map((n) => {
    const name = nameOf(n);
    const conditions = n.status?.conditions ?? [];
    const ready = conditions.find((c) => c.type === "Ready");
    const heardAt = beats.find((l) => nameOf(l) === name)?.spec?.renewTime ?? ready?.lastHeartbeatTime;
    return {
      name,
      ready: (ready?.status ?? "Unknown") as NodeFacts["ready"],
      ...(ready?.status === "False" && { why: ready.message || ready.reason || "" }),
      ...(heardAt && { heardAt }),
      version: n.status?.nodeInfo?.kubeletVersion ?? "",
      pressures: conditions.filter((c) => PRESSURES.has(c.type) && c.status === "True").map((c) => c.type),
      unschedulable: n.spec?.unschedulable === true,
      pods: perNode.get(name) ?? 0,
    };
  });
}

function countBy<T>(items: readonly T[], key: (item: T) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}

function certificateOf(of: string, pem: string): Certificate[] {
  try {
    const { validFrom, validTo } = new X509Certificate(pem);
    return [{ of, from: new Date(validFrom).toISOString(), until: new Date(validTo).toISOString() }];
  } catch {
    return [];
  }
}

/** The last one that was issued to each. */
function issued(requests: readonly DeepReadonly<CertificateSigningRequest>[]): readonly Certificate[] {
  const last = new Map<string, Certificate>();
  for (const { spec, status } of requests) {
    const [certificate] = certificateOf(`${spec.username ?? "a node"}`, fromBase64(status?.certificate));
    const before = certificate && last.get(certificate.of);
    if (certificate && (!before || before.until < certificate.until)) last.set(certificate.of, certificate);
  }
  return [...last.values()].filter((c) => c.of.startsWith("system:node:"));
}

const fromBase64 = (text: string | null | undefined) => Buffer.from(text ?? "", "base64").toString("utf8");

/** What a server shows itself with; undefined when it cannot be reached. Whether it is believed is others' matter. */
function servingCertificate(of: string, address: string): Promise<Certificate | undefined> {
  const at = address.lastIndexOf(":");
  const [host, port] = [address.slice(0, at).replace(/^\[|\]$/g, ""), Number(address.slice(at + 1))];
  return new Promise((done) => {
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: CONNECT_MS });
    const end = (found?: Certificate) => {
      socket.destroy();
      done(found);
    };
    socket.once("secureConnect", () => end(certificateOf(of, socket.getPeerX509Certificate()?.toString() ?? "")[0]));
    socket.once("error", () => end()).once("timeout", () => end());
  });
}
