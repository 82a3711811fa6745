/** The node's DNS: serves the cluster's names from the node's own copies of its objects, and asks others for the rest. */
import { createServer } from "node:http";
import { once } from "node:events";
import type { ConfigMap } from "../../api/generated/types.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { Client } from "../../client/client.ts";
import { Informer } from "../../informer/informer.ts";
import type { Informers } from "../../informer/informers.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { together, untilAborted } from "../../reconcile/scope.ts";
import { backoffMs } from "../../util/backoff.ts";
import type { Clock, Random } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { ClusterZone } from "./cluster-zone.ts";
import { exchange } from "./exchange.ts";
import { DnsMetrics } from "./metrics.ts";
import { DNS_NAMESPACE } from "../../api/traffic.ts";
import { publishDns } from "./publish.ts";
import { followResolvConf } from "./resolv-conf.ts";
import { Resolver } from "./resolver.ts";
import { DnsServer } from "./server.ts";
import { DEFAULT_SETTINGS, parseSettings, SettingsError } from "./settings.ts";
import { CLUSTER_DOMAIN } from "./zone.ts";

export interface DnsOptions {
  readonly client: Client;
  /** Somebody else runs them. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly nodeName: string;
  /** Where it listens: an address of this node that its Pods reach. */
  readonly address: string;
  /** Default 53. */
  readonly port?: number;
  /** Default 9153. */
  readonly metricsPort?: number;
  /** Of the Service `kube-dns`; what Pods have in their resolv.conf. */
  readonly serviceAddress: string;
  /** Default `cluster.local`. */
  readonly domain?: string;
  /** The host's. Default /etc/resolv.conf. */
  readonly resolvConf?: string;
  /** Called each time it has begun to listen. */
  readonly onListening?: (at: { readonly port: number; readonly metricsPort: number }) => void;
}

export const SETTINGS_NAME = "mini-kube-dns";
const RETRY = { initialMs: 100, maxMs: 5_000, jitter: 0.2 };
/** So often it is tried before it is said to fail: 6 s in all. */
const PATIENCE = 6;

/** Runs until the signal aborts. An address that is not there yet, or is taken, is tried again, and said to be missing. */
export async function runDns(o: DnsOptions, signal: AbortSignal): Promise<void> {
  using events = new EventRecorder({ ...o, component: "mini-kube-dns", instance: o.nodeName });
  const metrics = new DnsMetrics();
  const zone = new ClusterZone({ ...o, domain: o.domain ?? CLUSTER_DOMAIN, dnsAddress: o.serviceAddress });
  using resolver = new Resolver({
    zone,
    namespaceAt: (client) => zone.namespaceAt(client),
    exchange,
    clock: o.clock,
    random: o.random,
    ownAddresses: [o.address, o.serviceAddress],
    onForward: (result) => metrics.count("coredns_forward_requests_total", `result="${result}"`),
  });
  const settings = settingsInformer(o);
  const follow = (s: AbortSignal) =>
    followResolvConf(
      { path: o.resolvConf ?? "/etc/resolv.conf", clock: o.clock, onChange: (host) => resolver.configure({ host }) },
      s,
    );
  using _settings = settings.onChange((_key, now) => configure(resolver, now, { events, log: o.log }));
  await together(
    signal,
    (s) => settings.run(s),
    follow,
    async (s) => {
      // Before, it would say of names that they are not there.
      await zone.whenSynced(s);
      await serve(o, { resolver, metrics, events }, s);
    },
  );
}

function settingsInformer(o: DnsOptions): Informer<ConfigMap> {
  const listOptions = { fieldSelector: `metadata.name=${SETTINGS_NAME}` };
  return new Informer({ ...o, resource: o.client.resource(configMaps, DNS_NAMESPACE), listOptions });
}

/** What cannot be read changes nothing: what was in force stays so. */
function configure(
  resolver: Resolver,
  map: DeepReadonly<ConfigMap> | undefined,
  { events, log }: { readonly events: EventRecorder; readonly log: Logger },
): void {
  try {
    resolver.configure({ settings: map ? parseSettings(map.data ?? {}) : DEFAULT_SETTINGS });
    if (map) log.info({ configMap: SETTINGS_NAME }, "dns: settings in force");
  } catch (error) {
    if (!map || !(error instanceof SettingsError)) throw error;
    const why = `${error.message}; the settings before stay in force`;
    log.warn({ configMap: SETTINGS_NAME, why }, "dns: settings refused");
    events.event(subjectOf(configMaps as ResourceRef, map), "Warning", "InvalidSettings", why);
  }
}

interface Parts {
  readonly resolver: Resolver;
  readonly metrics: DnsMetrics;
  readonly events: EventRecorder;
}

async function serve(o: DnsOptions, parts: Parts, signal: AbortSignal): Promise<void> {
  const { resolver, metrics, events } = parts;
  let said: string | undefined;
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      const resolve = resolver.resolve.bind(resolver);
      await using server = await onPort(o.port, 53, (port) => DnsServer.listen({ ...o, port, resolve, metrics }));
      await using page = await onPort(o.metricsPort, 9153, (port) => serveMetrics(metrics, o.address, port));
      const at = { port: server.port, metricsPort: page.port };
      o.log.info({ address: o.address, ...at }, "dns: listening");
      await publish(o, at, signal);
      o.onListening?.(at);
      await untilAborted(signal);
    } catch (error) {
      if (signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      o.log.debug({ err: error, address: o.address }, "dns: cannot listen; will try again");
      // The bridge of the node's Pods may come a moment later.
      if (failures > PATIENCE && why !== said) {
        o.log.warn({ err: error, address: o.address }, "dns: cannot listen; Pods get no names until it can");
        events.event(subjectOf(nodes, { metadata: { name: o.nodeName } }), "Warning", "DNSNotServed", why);
        said = why;
      }
      await o.clock.sleep(backoffMs(failures, RETRY, o.random), signal).catch(() => {}); // an abort; the loop sees it
    }
  }
}

/**
 * Somebody on this machine may listen on all its addresses. Clients come through the Service, which leads them to any
 * port: where none was asked for, another one does.
 */
async function onPort<T>(asked: number | undefined, usual: number, listen: (port: number) => Promise<T>): Promise<T> {
  try {
    return await listen(asked ?? usual);
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    if (!taken || asked !== undefined) throw error;
    return await listen(0);
  }
}

/** An API server that is away keeps nobody from answers. */
async function publish(
  o: DnsOptions,
  at: { readonly port: number; readonly metricsPort: number },
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      return await publishDns(o.client, { ...o, ...at }, signal);
    } catch (error) {
      if (signal.aborted) return;
      o.log.warn({ err: error, failures }, "dns: the Service kube-dns is not written; will try again");
      await o.clock.sleep(backoffMs(failures, RETRY, o.random), signal).catch(() => {}); // an abort; the loop sees it
    }
  }
}

async function serveMetrics(
  metrics: DnsMetrics,
  host: string,
  port: number,
): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((request, response) => {
    const found = request.method === "GET" && request.url === "/metrics";
    response.writeHead(found ? 200 : 404, { "content-type": "text/plain; version=0.0.4" });
    response.end(found ? metrics.text() : "404 page not found\n");
  });
  const listening = once(server, "listening");
  server.listen(port, host);
  await listening;
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
