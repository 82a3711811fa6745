/** The service proxy of a node, as a part of its network: what it watches, and what it does beside the rules. */
import type { EndpointSlice, Node, Service } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { deepEqual } from "../../api/equal.ts";
import { keyOf, makeKey, type ObjectKey } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { needsHealthCheckPort } from "../../api/service.ts";
import type { Client } from "../../client/client.ts";
import type { Informer } from "../../informer/informer.ts";
import type { Informers } from "../../informer/informers.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import type { Clock, Random } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { NetworkPart } from "../node-network.ts";
import type { Ruleset } from "../nft/ruleset.ts";
import { Acknowledger } from "./acknowledge.ts";
import { type NodeFacts, nodeFacts, type ReadonlyService, type ReadonlySlice } from "./backends.ts";
import { deleteFlows, staleFlows, type StaleFlows } from "./conntrack.ts";
import { HealthChecks } from "./health-checks.ts";
import { openLocalhost } from "./localhost.ts";
import { ProxyPlan } from "./plan.ts";

export interface ServiceProxyOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly nodeName: string;
}

const SERVICE_NAME = "kubernetes.io/service-name";

export class ServiceProxy implements NetworkPart {
  readonly name = "services";
  readonly #o: ServiceProxyOptions;
  readonly #services: Informer<Service>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #nodes: Informer<Node>;
  readonly #slicesOf = new Map<ObjectKey, Map<ObjectKey, ReadonlySlice>>();
  readonly #dirty = new Set<ObjectKey>();
  readonly #plan = new ProxyPlan();
  readonly #acknowledger: Acknowledger;
  readonly #events: EventRecorder;
  readonly #healthChecks: HealthChecks;
  #facts: NodeFacts;
  #stale: StaleFlows[] = [];
  /** As of the last plan: all slices up to here are in it. */
  #planned = 0n;
  /** Something of it has an endpoint on its way out. */
  #leaving = false;
  #deleting: Promise<void> = Promise.resolve();

  constructor(o: ServiceProxyOptions) {
    this.#o = o;
    this.#services = o.informers.of(services);
    this.#slices = o.informers.of(endpointSlices);
    this.#nodes = o.informers.of(nodes);
    this.#facts = nodeFacts(o.nodeName, []);
    this.#acknowledger = new Acknowledger(o);
    this.#events = new EventRecorder({ ...o, component: "service-proxy", instance: o.nodeName });
    this.#healthChecks = new HealthChecks((key, port, why) => this.#portTaken(key, port, why));
  }

  async whenReady(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#services, this.#slices, this.#nodes].map((i) => i.whenSynced(signal)));
  }

  /** What it does beside the rules, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    using _checks = this.#healthChecks;
    using _events = this.#events;
    await this.#acknowledger.run(signal);
    await this.#deleting;
  }

  onChange(changed: () => void): Disposable {
    const touch = (key: ObjectKey) => {
      this.#dirty.add(key);
      changed();
    };
    const watches = [
      this.#services.onChange((key) => touch(key)),
      this.#slices.onChange((key, now, old) => {
        for (const slice of [old, now]) {
          const service = slice?.metadata.labels?.[SERVICE_NAME];
          if (service === undefined) continue;
          this.#remember(makeKey(slice?.metadata.namespace, service), key, slice === now ? now : undefined);
          touch(makeKey(slice?.metadata.namespace, service));
        }
      }),
      this.#nodes.onChange((_, now, old) => {
        const said = (n: typeof now) => [n?.metadata.labels, n?.spec?.podCIDR, n?.spec?.podCIDRs];
        if (!deepEqual(said(now), said(old))) changed();
      }),
    ];
    return { [Symbol.dispose]: () => watches.forEach((w) => w[Symbol.dispose]()) };
  }

  plan(): Ruleset {
    this.#planned = BigInt(this.#slices.resourceVersion || "0");
    const facts = nodeFacts(this.#o.nodeName, this.#nodes.list());
    if (!deepEqual(facts, this.#facts)) {
      this.#facts = facts;
      for (const service of this.#services.list()) this.#dirty.add(keyOf(service));
    }
    for (const key of this.#dirty) this.#update(key);
    this.#dirty.clear();
    return this.#plan.ruleset(facts);
  }

  applied(): void {
    // The first time, so that all know there is a proxy to wait for; then when somebody may be waiting.
    if (this.#acknowledger.silent || this.#leaving) this.#acknowledger.applied(this.#planned);
    this.#leaving = false;
    openLocalhost(this.#facts.podCidrs, this.#o.log);
    const stale = this.#stale.splice(0);
    if (stale.length > 0) this.#deleting = this.#deleting.then(() => deleteFlows(stale, this.#o.log));
  }

  #update(key: ObjectKey): void {
    const service = this.#services.get(key);
    const slices = [...(this.#slicesOf.get(key)?.values() ?? [])];
    const { before, after } = this.#plan.update(key, service && { service, slices, facts: this.#facts });
    this.#stale.push(...staleFlows(before, after));
    this.#healthChecks.set(key, service && this.#healthCheck(service, slices));
    this.#leaving ||= slices.some((s) => s.endpoints?.some((e) => e.conditions?.terminating));
  }

  #healthCheck({ spec = {} }: ReadonlyService, slices: readonly ReadonlySlice[]) {
    const port = spec.healthCheckNodePort;
    if (!needsHealthCheckPort(spec) || !port) return undefined;
    const local = slices.flatMap((s) =>
      (s.endpoints ?? []).filter((e) => e.nodeName === this.#o.nodeName && e.conditions?.ready !== false),
    );
    return { port, localEndpoints: new Set(local.map((e) => e.addresses[0])).size };
  }

  #remember(service: ObjectKey, slice: ObjectKey, now: ReadonlySlice | undefined): void {
    const known = this.#slicesOf.get(service) ?? new Map<ObjectKey, ReadonlySlice>();
    if (now) known.set(slice, now);
    else known.delete(slice);
    if (known.size > 0) this.#slicesOf.set(service, known);
    else this.#slicesOf.delete(service);
  }

  #portTaken(key: ObjectKey, port: number, why: string): void {
    this.#o.log.warn({ service: key, port, why }, "a health check port is not served");
    const service = this.#services.get(key);
    if (!service) return;
    const message = `node ${this.#o.nodeName} failed to listen on healthCheckNodePort ${port}: ${why}`;
    this.#events.event(
      subjectOf(services as ResourceRef, service),
      "Warning",
      "FailedToStartServiceHealthcheck",
      message,
    );
  }
}
