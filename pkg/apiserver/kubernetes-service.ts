/**
 * The Service by which Pods find the API servers: `kubernetes` in `default`, and where they really are.
 *
 * Each server says that it lives in a Lease of its own and writes down all that live: so several on one store share the
 * endpoints, and who is silent for too long is taken out by the others.
 */
import { deepEqual } from "../api/equal.ts";
import type { Endpoints, EndpointSlice, Lease, Service } from "../api/generated/types.ts";
import { leases } from "../api/kinds/coordination/lease.ts";
import { endpoints } from "../api/kinds/core/endpoints.ts";
import { endpointSlices } from "../api/kinds/discovery/endpointslice.ts";
import { type ApiObject, nameOf } from "../api/object.ts";
import { isReason } from "../api/status.ts";
import { API_SERVER_LEASES } from "../client/api-servers.ts";
import type { Client, ResourceClient } from "../client/client.ts";
import { type Clock, rfc3339Micro } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";

const NAME = "kubernetes";
const NAMESPACE = "default";
const HTTPS = { name: "https", protocol: "TCP" };
const SERVICE_LABEL = "kubernetes.io/service-name";

/** Its endpoints are no Pods, so it selects none. The address is the first of those that Services have. */
export const kubernetesService = (clusterIP: string): ApiObject & Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: NAME, namespace: NAMESPACE, labels: { component: "apiserver", provider: NAME } },
  spec: {
    type: "ClusterIP",
    clusterIP,
    clusterIPs: [clusterIP],
    ports: [{ ...HTTPS, port: 443, targetPort: 6443 }],
    sessionAffinity: "None",
  },
});

export interface Endpoint {
  /** Reachable from Pods: no loopback. */
  readonly address: string;
  readonly port: number;
}

export interface PublishOptions extends Endpoint {
  /** As the API server itself. */
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
}

const { namespace: LEASES, label: LABEL, value: OURS } = API_SERVER_LEASES;
const RENEW_MS = 5_000;
/** As long as Kubernetes' own. Somebody's clock does not count: only whether the Lease was renewed while we looked. */
const SILENCE_MS = 15_000;
const LEAVE_MS = 2_000;
const CONFLICTS = 4;

/** Says where this API server listens, until the signal aborts; then takes it back. Never rejects. */
export async function keepEndpoint(o: PublishOptions, signal: AbortSignal): Promise<void> {
  const seen = new Map<string, Heard>();
  while (!signal.aborted) {
    try {
      await renew(o);
      await publish(o.client, await living(o, seen));
    } catch (error) {
      o.log.warn(
        { err: error, address: o.address },
        "the endpoints of the Service kubernetes are not written, will retry",
      );
    }
    await o.clock.sleep(RENEW_MS, signal).catch(() => {}); // an abort; the loop sees it
  }
  const limit = new AbortController();
  using _late = o.clock.after(LEAVE_MS, () => limit.abort());
  const late = new Promise<void>((resolve) => limit.signal.addEventListener("abort", () => resolve()));
  await Promise.race([late, leave(o, seen).catch(() => {})]); // the others will notice
}

interface Heard {
  readonly renewTime: string | undefined;
  readonly at: number;
}

const leaseName = (e: Endpoint) => `apiserver-${e.address.replaceAll(/[.:]/g, "-")}-${e.port}`;
const leaseClient = (o: PublishOptions) => o.client.resource<Lease>(leases, LEASES);

async function renew(o: PublishOptions): Promise<void> {
  const api = leaseClient(o);
  const name = leaseName(o);
  const spec = {
    holderIdentity: `${o.address}:${o.port}`,
    leaseDurationSeconds: SILENCE_MS / 1000,
    renewTime: rfc3339Micro(o.clock.now()),
  };
  try {
    await api.patch(name, "application/merge-patch+json", { metadata: { labels: { [LABEL]: OURS } }, spec });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    await api.create({ metadata: { name, namespace: LEASES, labels: { [LABEL]: OURS } }, spec });
  }
}

/** Those who were heard of late, ourselves among them; who was not is forgotten by all. */
async function living(o: PublishOptions, seen: Map<string, Heard>): Promise<readonly Endpoint[]> {
  const { items } = await leaseClient(o).list({ labelSelector: `${LABEL}=${OURS}` });
  const now = o.clock.now();
  const alive: Endpoint[] = [];
  for (const lease of items) {
    const [name, renewTime] = [nameOf(lease), lease.spec?.renewTime];
    const before = seen.get(name);
    const heard = before?.renewTime === renewTime && before ? before : { renewTime, at: now };
    seen.set(name, heard);
    const endpoint = parseHolder(lease.spec?.holderIdentity);
    if (endpoint && now - heard.at < SILENCE_MS) alive.push(endpoint);
    else
      await leaseClient(o)
        .delete(name)
        .catch(() => {}); // whoever comes next will
  }
  return alive;
}

function parseHolder(holder: string | undefined): Endpoint | undefined {
  const [, address, port] = /^(.+):(\d+)$/.exec(holder ?? "") ?? [];
  return address === undefined ? undefined : { address, port: Number(port) };
}

async function leave(o: PublishOptions, seen: Map<string, Heard>): Promise<void> {
  await leaseClient(o).delete(leaseName(o));
  await publish(o.client, await living(o, seen));
}

/** Both kinds say the same: by port, as servers of one port share a subset and a slice. Pure. */
export function endpointObjects(all: readonly Endpoint[]): { list: Endpoints; slices: readonly EndpointSlice[] } {
  const sorted = all.toSorted((a, b) => (a.address < b.address ? -1 : 1));
  const ports = [...new Set(all.map((e) => e.port))].toSorted((a, b) => a - b);
  const groups = ports.map((port) => [port, sorted.filter((e) => e.port === port)] as const);
  const metadata = { name: NAME, namespace: NAMESPACE };
  const slices = groups.map(([port, group], i): EndpointSlice => ({
    metadata: { ...metadata, name: i === 0 ? NAME : `${NAME}-${port}`, labels: { [SERVICE_LABEL]: NAME } },
    addressType: "IPv4",
    endpoints: group.map((e) => ({ addresses: [e.address], conditions: { ready: true } })),
    ports: [{ ...HTTPS, port }],
  }));
  const subsets = groups.map(([port, group]) => ({
    addresses: group.map((e) => ({ ip: e.address })),
    ports: [{ ...HTTPS, port }],
  }));
  return {
    list: { metadata: { ...metadata, labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } }, subsets },
    slices,
  };
}

async function publish(client: Client, all: readonly Endpoint[]): Promise<void> {
  const { list, slices } = endpointObjects(all);
  const sliceApi = client.resource<EndpointSlice>(endpointSlices, NAMESPACE);
  await ensure(client.resource<Endpoints>(endpoints, NAMESPACE), list, (o) => [o.subsets, o.metadata.labels]);
  for (const slice of slices) await ensure(sliceApi, slice, (o) => [o.endpoints, o.ports]);
  const { items } = await sliceApi.list({ labelSelector: `${SERVICE_LABEL}=${NAME}` });
  const wanted = new Set(slices.map(nameOf));
  for (const old of items) if (!wanted.has(nameOf(old))) await sliceApi.delete(nameOf(old)).catch(ignoreGone);
}

function ignoreGone(error: unknown): void {
  if (!isReason(error, "NotFound")) throw error;
}

async function ensure<T extends ApiObject>(
  api: ResourceClient<T>,
  wanted: T,
  said: (o: DeepReadonly<T>) => unknown,
): Promise<void> {
  const name = nameOf(wanted);
  const next = wanted as DeepReadonly<T>;
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await api.get(name).catch((error: unknown) => ignoreGone(error));
      if (!found) return void (await api.create(next));
      if (deepEqual(said(found), said(next))) return;
      // From then on: another server that writes at the same time is not overwritten unseen.
      const { resourceVersion } = found.metadata;
      return void (await api.update({ ...next, metadata: { ...next.metadata, resourceVersion } }));
    } catch (error) {
      if (!isReason(error, "Conflict", "AlreadyExists") || attempt >= CONFLICTS) throw error;
    }
  }
}
