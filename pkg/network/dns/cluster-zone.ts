/** The {@link Zone} of a running cluster: the node's own copies of its objects, and indexes of them. */
import type { EndpointSlice, Pod, Service } from "../../api/generated/types.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { makeKey, namespaceOf, type ObjectKey } from "../../api/object.ts";
import type { Informer } from "../../informer/informer.ts";
import type { Informers } from "../../informer/informers.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { canonicalIp } from "./names.ts";
import { SERVICE_NAME, type Zone } from "./zone.ts";

/** Many values to a key; what has no value left is gone. */
class Index<T> {
  readonly #values = new Map<string, Set<T>>();

  get(key: string): ReadonlySet<T> {
    return this.#values.get(key) ?? new Set();
  }

  /** The value was under these keys, and is under those. */
  move(value: T, from: readonly string[], to: readonly string[]): void {
    for (const key of from) {
      const set = this.#values.get(key);
      if (set?.delete(value) && set.size === 0) this.#values.delete(key);
    }
    for (const key of to) {
      const set = this.#values.get(key) ?? new Set();
      this.#values.set(key, set.add(value));
    }
  }
}

export interface ClusterZoneOptions {
  readonly informers: Informers;
  readonly domain: string;
  readonly dnsAddress: string;
}

export class ClusterZone implements Zone {
  readonly domain: string;
  readonly dnsAddress: string;
  #serial = 1;
  readonly #namespaces: Informer<{ metadata: object }>;
  readonly #services: Informer<Service>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #pods: Informer<Pod>;
  readonly #serviceByIp = new Index<ObjectKey>();
  readonly #slicesByService = new Index<ObjectKey>();
  readonly #slicesByIp = new Index<ObjectKey>();
  readonly #podByIp = new Index<ObjectKey>();

  constructor(o: ClusterZoneOptions) {
    this.domain = o.domain;
    this.dnsAddress = o.dnsAddress;
    this.#namespaces = o.informers.of(namespaces);
    this.#services = o.informers.of(services);
    this.#slices = o.informers.of(endpointSlices);
    this.#pods = o.informers.of(pods);
    this.#keep(this.#services, [[this.#serviceByIp, addressesOfService]]);
    this.#keep(this.#slices, [
      [this.#slicesByService, serviceOfSlice],
      [this.#slicesByIp, addressesOfSlice],
    ]);
    this.#keep(this.#pods, [[this.#podByIp, addressesOfPod]]);
  }

  async whenSynced(signal: AbortSignal): Promise<void> {
    const all = [this.#namespaces, this.#services, this.#slices, this.#pods];
    await Promise.all(all.map((i) => i.whenSynced(signal)));
  }

  get serial(): number {
    return this.#serial;
  }

  hasNamespace(name: string): boolean {
    return this.#namespaces.get(name) !== undefined;
  }

  service(namespace: string, name: string): DeepReadonly<Service> | undefined {
    return this.#services.get(makeKey(namespace, name));
  }

  slices(namespace: string, service: string): Iterable<DeepReadonly<EndpointSlice>> {
    return this.#slicesOf(this.#slicesByService.get(makeKey(namespace, service)));
  }

  serviceAt(ip: string): DeepReadonly<Service> | undefined {
    const [key] = this.#serviceByIp.get(ip);
    return key === undefined ? undefined : this.#services.get(key);
  }

  slicesAt(ip: string): Iterable<DeepReadonly<EndpointSlice>> {
    return this.#slicesOf(this.#slicesByIp.get(ip));
  }

  /** Of the Pod with this address. Pods on the host's network share theirs: of those it is not known. */
  namespaceAt(ip: string): string | undefined {
    const [key] = this.#podByIp.get(ip);
    const pod = key === undefined ? undefined : this.#pods.get(key);
    return pod && namespaceOf(pod);
  }

  *#slicesOf(keys: Iterable<ObjectKey>): Iterable<DeepReadonly<EndpointSlice>> {
    for (const key of keys) {
      const slice = this.#slices.get(key);
      if (slice) yield slice;
    }
  }

  #keep<T extends { metadata: object }>(
    informer: Informer<T>,
    indexes: readonly (readonly [Index<ObjectKey>, (o: DeepReadonly<T>) => readonly string[]])[],
  ): void {
    informer.onChange((key, now, old) => {
      this.#serial = (this.#serial + 1) >>> 0 || 1;
      for (const [index, keysOf] of indexes) index.move(key, old ? keysOf(old) : [], now ? keysOf(now) : []);
    });
  }
}

const known = (ips: readonly (string | undefined)[]) => ips.flatMap((ip) => (ip && canonicalIp(ip)) || []);

const addressesOfService = ({ spec }: DeepReadonly<Service>) =>
  spec?.type === "ExternalName" ? [] : known(spec?.clusterIPs ?? []);

const serviceOfSlice = ({ metadata }: DeepReadonly<EndpointSlice>) =>
  metadata.labels?.[SERVICE_NAME] === undefined ? [] : [makeKey(metadata.namespace, metadata.labels[SERVICE_NAME])];

const addressesOfSlice = ({ endpoints }: DeepReadonly<EndpointSlice>) =>
  known((endpoints ?? []).flatMap((e) => e.addresses));

const addressesOfPod = ({ spec, status }: DeepReadonly<Pod>) =>
  spec?.hostNetwork || status?.phase === "Succeeded" || status?.phase === "Failed"
    ? []
    : known((status?.podIPs ?? []).map((p) => p.ip));
