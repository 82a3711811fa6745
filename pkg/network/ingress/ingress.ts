/** Keeps one node's ingress proxy as the cluster's objects say: watch → table → swap. */
import type { EndpointSlice, Ingress, IngressClass, Secret } from "../../api/generated/types.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { ingresses } from "../../api/kinds/networking/ingress.ts";
import { ingressClasses } from "../../api/kinds/networking/ingressclass.ts";
import { deepEqual } from "../../api/equal.ts";
import { keyOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import { Informer } from "../../informer/informer.ts";
import type { Informers } from "../../informer/informers.ts";
import { onAbort, type Outcome, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { Clock, Random } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { serviceKeyOf } from "./backends.ts";
import { Certificates, selfMadeCertificate } from "./certificates.ts";
import type { Served } from "./counters.ts";
import type { IngressProxy } from "./proxy.ts";
import { pointsOf } from "./status.ts";
import { buildTable, CONTROLLER, isOurs, type Problem, type Table } from "./table.ts";

export interface IngressOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly nodeName: string;
  /** Where it listens; the first is the one that Ingresses show. */
  readonly addresses: readonly string[];
  /** One more, once it is there: where the node's Pods reach it. */
  readonly gateway?: Promise<string>;
  /** Undefined: not served. 0: any free port. */
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly onServed?: (s: Served) => void;
  /** Told once, when there is something to serve: for its counters. */
  readonly onStart?: (proxy: IngressProxy) => void;
}

const COMPONENT = "ingress";
const CLASS_NAME = "mini-kube";
const TLS_SECRETS = "type=kubernetes.io/tls";
/** A port that another program holds is tried again. */
const LISTEN_AGAIN_MS = 5_000;
/** Requests under way may take this long when the cluster stops. */
const CLOSE_GRACE_MS = 5_000;

/**
 * Guarantees:
 *
 *  I1  No port is taken before there is an Ingress of ours; once taken it is kept.
 *  I2  A change of a Service's endpoints is in force as soon as it is seen: nothing is started, nobody is disconnected.
 *  I3  What cannot be done of one Ingress is told in an event of it, once; all others are served.
 */
export async function runIngress(o: IngressOptions, signal: AbortSignal): Promise<void> {
  await new IngressLoop(o).run(signal);
}

/** The class is made at the first start; an owner may change or delete it until the next one. */
async function ensureClass({ client, log }: IngressOptions): Promise<void> {
  const annotations = { "ingressclass.kubernetes.io/is-default-class": "true" };
  const own: IngressClass = { metadata: { name: CLASS_NAME, annotations }, spec: { controller: CONTROLLER } };
  try {
    await client.resource(ingressClasses).create(own);
  } catch (error) {
    if (!isReason(error, "AlreadyExists")) log.warn({ err: error }, "the IngressClass is not made");
  }
}

class IngressLoop {
  readonly #o: IngressOptions;
  readonly #ingresses: Informer<Ingress>;
  readonly #classes: Informer<IngressClass>;
  readonly #secrets: Informer<Secret>;
  readonly #certificates: Certificates;
  readonly #recorder: EventRecorder;
  readonly #status: WorkQueue;
  /** `namespace/name` of Services that the table leads to: changes of others change nothing. */
  #wanted: ReadonlySet<string> = new Set();
  #told = new Set<string>();
  #table: Table | undefined;
  #proxy: IngressProxy | undefined;
  #ports: readonly number[] = [];
  #starting: Promise<void> | undefined;
  #changed = false;

  constructor(o: IngressOptions) {
    this.#o = o;
    this.#ingresses = o.informers.of(ingresses);
    this.#classes = o.informers.of(ingressClasses);
    const resource = o.client.resource(secrets);
    this.#secrets = new Informer<Secret>({ ...o, resource, listOptions: { fieldSelector: TLS_SECRETS } });
    this.#certificates = new Certificates((key) => this.#secrets.get(key));
    this.#recorder = new EventRecorder({ ...o, component: COMPONENT, instance: o.nodeName });
    this.#status = new WorkQueue(o);
  }

  async run(signal: AbortSignal): Promise<void> {
    using _recorder = this.#recorder;
    const { informers } = this.#o;
    const [allServices, slices] = [informers.of(services), informers.of(endpointSlices)];
    const after = [this.#ingresses, this.#classes, allServices, slices, this.#secrets];
    await together(
      signal,
      (s) => this.#secrets.run(s),
      async (s) => {
        await ensureClass(this.#o);
        await Promise.all(after.map((i) => i.whenSynced(s)));
        const look = () => this.#look(s);
        const lookIf = (key: string) => this.#wanted.has(key) && look();
        this.#ingresses.onChange(look);
        this.#classes.onChange(look);
        this.#secrets.onChange(look);
        allServices.onChange(lookIf);
        slices.onChange((_, now, old) => lookIf(serviceKeyOf((now ?? old) as DeepReadonly<EndpointSlice>)));
        await new Promise<void>((resolve) => void onAbort(s, resolve));
        await this.#starting;
        await this.#proxy?.close(CLOSE_GRACE_MS);
      },
      (s) => this.#runStatus(s),
    );
  }

  /** Soon: changes that come together make one table. */
  #look(signal: AbortSignal): void {
    if (this.#changed) return;
    this.#changed = true;
    queueMicrotask(() => {
      this.#changed = false;
      if (!signal.aborted) this.#rebuild(signal);
    });
  }

  #rebuild(signal: AbortSignal): void {
    const ours = this.#ours();
    const { informers } = this.#o;
    const byService = new Map<string, DeepReadonly<EndpointSlice>[]>();
    const wanted = new Set(ours.flatMap(servicesOf));
    for (const slice of wanted.size > 0 ? informers.of(endpointSlices).list() : []) {
      const key = serviceKeyOf(slice);
      if (wanted.has(key)) byService.set(key, [...(byService.get(key) ?? []), slice]);
    }
    const table = buildTable({
      ingresses: ours,
      service: (key) => informers.of(services).get(key),
      slices: (key) => byService.get(key) ?? [],
      secretProblem: (key) => this.#certificates.problem(key),
    });
    this.#wanted = wanted;
    this.#table = table;
    this.#tell(table.problems);
    this.#proxy?.use(table);
    this.#proxy?.counters.keep((name) => this.#ingresses.get(name) !== undefined);
    if (ours.length > 0) {
      this.#starting ??= this.#start(signal).catch((err: unknown) => {
        this.#o.log.error({ err }, "the ingress did not start");
      });
    }
    for (const ingress of ours) this.#status.add(keyOf(ingress));
  }

  #ours(): DeepReadonly<Ingress>[] {
    return this.#ingresses.list().filter((i) => isOurs(i, (name) => this.#classes.get(name)));
  }

  /** I3 */
  #tell(problems: readonly Problem[]): void {
    const now = new Set<string>();
    for (const { ingress, reason, message } of problems) {
      const id = JSON.stringify([ingress, reason, message]);
      const object = this.#ingresses.get(ingress);
      if (!now.has(id) && !this.#told.has(id) && object) {
        this.#recorder.event(subjectOf(ingresses, object), "Warning", reason, message);
      }
      now.add(id);
    }
    this.#told = now;
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { clock, log, addresses, httpPort, httpsPort, onServed, onStart } = this.#o;
    const { IngressProxy: Proxy } = await import("./proxy.ts");
    const proxy = new Proxy({
      clock,
      log,
      table: this.#table ?? buildTable({ ingresses: [], service: none, slices: () => [], secretProblem: none }),
      certificate: (key) => this.#certificates.context(key),
      defaultCertificate: await selfMadeCertificate(clock),
      ...(onServed && { onServed }),
    });
    this.#proxy = proxy;
    onStart?.(proxy);
    const listenAt = (host: string) =>
      Promise.all([
        ...(httpPort === undefined ? [] : [this.#listen(proxy, { host, port: httpPort, tls: false }, signal)]),
        ...(httpsPort === undefined ? [] : [this.#listen(proxy, { host, port: httpsPort, tls: true }, signal)]),
      ]);
    void this.#o.gateway?.then(listenAt);
    await Promise.all(addresses.map(listenAt));
  }

  /** Tries until it succeeds; the first failure is told to those who wait for it. */
  async #listen(
    proxy: IngressProxy,
    at: { host: string; port: number; tls: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    for (let told = false; !signal.aborted; told = true) {
      try {
        const port = await proxy.listen(at);
        this.#o.log.info({ host: at.host, port }, "the ingress listens");
        if (at.host === this.#o.addresses[0]) this.#ports = [...this.#ports, port].sort((a, b) => a - b);
        for (const ingress of this.#ours()) this.#status.add(keyOf(ingress));
        return;
      } catch (error) {
        if (!told) this.#tellPort(`${at.host}:${at.port}`, at.tls, error as NodeJS.ErrnoException);
        await this.#o.clock.sleep(LISTEN_AGAIN_MS, signal).catch(() => {}); // an abort; the loop sees it
      }
    }
  }

  #tellPort(where: string, tls: boolean, error: NodeJS.ErrnoException): void {
    const whys: Readonly<Record<string, string>> = {
      EADDRINUSE: "another program uses it",
      EACCES: "ports below 1024 are not permitted to this user",
    };
    const flag = tls ? "--ingress-https-port" : "--ingress-http-port";
    const why = whys[error.code ?? ""] ?? error.message;
    const message = `${where} of node ${this.#o.nodeName} cannot be served: ${why}; choose another port with: mini-kube up ${flag}`;
    this.#o.log.warn({ err: error, where }, "the ingress cannot listen");
    for (const ingress of this.#ours()) {
      this.#recorder.event(subjectOf(ingresses, ingress), "Warning", "PortUnavailable", message);
    }
  }

  async #runStatus(signal: AbortSignal): Promise<void> {
    const allNodes = this.#o.informers.of(nodes);
    const reconcile = async (key: string): Promise<Outcome> => {
      const ingress = this.#ingresses.get(key);
      const [address = ""] = this.#o.addresses;
      if (!ingress || this.#ports.length === 0) return "done";
      const isNode = (ip: string) =>
        allNodes.list().some((n) => n.status?.addresses?.some((a) => a.address === ip) === true);
      const points = pointsOf(ingress, { own: { address, ports: this.#ports }, address, isNode });
      if (deepEqual(points, ingress.status?.loadBalancer?.ingress ?? [])) return "done";
      const next = { ...ingress, status: { loadBalancer: { ingress: points } } };
      try {
        await this.#o.client.resource(ingresses).updateStatus(next);
        this.#recorder.event(subjectOf(ingresses, ingress), "Normal", "Sync", "Scheduled for sync");
      } catch (error) {
        if (!isReason(error, "NotFound")) throw error;
      }
      return "done";
    };
    await runController(
      { ...this.#o, name: COMPONENT, queue: this.#status, after: [this.#ingresses, allNodes], reconcile },
      signal,
    );
  }
}

const none = () => undefined;

function servicesOf({ metadata, spec }: DeepReadonly<Ingress>): string[] {
  const backends = [
    spec?.defaultBackend,
    ...(spec?.rules ?? []).flatMap((r) => (r.http?.paths ?? []).map((p) => p.backend)),
  ];
  return backends.flatMap((b) => (b?.service ? [`${metadata.namespace ?? ""}/${b.service.name}`] : []));
}
