/**
 * The API server without a wire: calls in, answers out. http.ts puts HTTPS in front of it, inprocess.ts nothing at all.
 */
import { notHonoured } from "../api/not-honoured.ts";
import type { ApiObject } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import { ApiError } from "../api/status.ts";
import { resources as allResources } from "../api/table.ts";
import { Client } from "../client/client.ts";
import type { Call, Transport } from "../client/transport.ts";
import type { Store } from "../store/store.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { Admission, type AdmissionPlugin, type ClusterView } from "./admission.ts";
import { defaultPlugins } from "./admission/plugins.ts";
import { firstServiceIp, SERVICE_CIDR } from "./admission/service-addresses.ts";
import { createBootObjects } from "./boot.ts";
import { evict } from "./calls/eviction.ts";
import { clusterView } from "./cluster-view.ts";
import { CRD_COMPONENT, CustomResources } from "./crds.ts";
import { Dispatcher, notAllowed } from "./dispatch.ts";
import type { Entry } from "./entry.ts";
import { Housekeeping } from "./housekeeping.ts";
import type { Answer, Caller, Handler, User } from "./handler.ts";
import { inProcess } from "./inprocess.ts";
import { Reader } from "./reader.ts";
import { type Address, Registry, refuseName } from "./registry.ts";
import { ResourceTable } from "./resource-table.ts";
import { Storage, apiErrorOf } from "./storage.ts";
import type { CallHandler, VirtualHandler } from "./virtual.ts";
import { policyOf } from "./view.ts";
import { WatchCache } from "./watchcache.ts";
import type { Watcher } from "./watcher.ts";
import { writeContext } from "./write-context.ts";

export interface ApiServerOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly resources?: readonly ResourceDef[];
  readonly plugins?: readonly AdmissionPlugin[];
  /** Pods get a token of their ServiceAccount. Default: no; it needs somebody to issue it (auth/open.ts). */
  readonly mountTokens?: boolean;
  /** How long Pods stay on a node that is not ready or away, if they do not say. Default 5. */
  readonly tolerationSeconds?: number | undefined;
  /** From what Services have their addresses. Default 10.96.0.0/16. */
  readonly serviceCidr?: string;
  readonly watchQueueLimit?: number;
}

const SYSTEM: User = { name: "system:apiserver", groups: ["system:masters"] };

export class ApiServer implements Handler {
  readonly resources: ResourceTable;
  readonly clock: Clock;
  readonly random: Random;
  /** The rest of the cluster, as admission and virtual kinds see it. */
  readonly view: ClusterView;
  /** Who answers for kinds that are not stored, by {@link resourceKey}. */
  readonly virtual = new Map<string, VirtualHandler>();
  /** Who answers calls, by `PLURAL/SUBRESOURCE`. */
  readonly calls = new Map<string, CallHandler>([["pods/eviction", evict]]);
  readonly cache: WatchCache;
  readonly #reader: Reader;
  readonly #registry: Registry;
  readonly #housekeeping: Housekeeping;
  readonly #customResources: CustomResources;
  readonly #dispatcher: Dispatcher;
  #closed = false;

  private constructor(o: ApiServerOptions) {
    const { store, clock, random, log, resources = allResources } = o;
    this.resources = new ResourceTable(resources);
    this.clock = clock;
    this.random = random;
    this.cache = new WatchCache({ ...o, resources, log: log.child({ component: "watch-cache" }) });
    const storage = new Storage(store, this.cache);
    this.view = clusterView(this.cache, storage);
    const { mountTokens = false, tolerationSeconds, serviceCidr = SERVICE_CIDR } = o;
    const kinds = () => this.resources.all;
    const plugins =
      o.plugins ??
      defaultPlugins({ clock, random, log, resources: kinds, mountTokens, tolerationSeconds, serviceCidr });
    const admission = new Admission(plugins, this.view);
    this.#reader = new Reader({ store, storage, cache: this.cache, clock });
    this.#registry = new Registry({ storage, cache: this.cache, random, admission, resources });
    this.#dispatcher = new Dispatcher({
      reader: this.#reader,
      registry: this.#registry,
      cache: this.cache,
      view: this.view,
      client: new Client(this.transport(), "apiserver"),
      virtual: this.virtual,
      calls: this.calls,
    });
    this.#housekeeping = new Housekeeping({
      store,
      clock,
      log,
      cache: this.cache,
      remove: (d, e) => this.#remove(d, e),
    });
    this.#customResources = new CustomResources({
      table: this.resources,
      cache: this.cache,
      client: new Client(this.transport(), CRD_COMPONENT),
      clock,
      log: log.child({ component: CRD_COMPONENT }),
    });
  }

  /** Loads the state and makes the namespaces that must always exist. Rejects when the store cannot be read. */
  static async open(o: ApiServerOptions): Promise<ApiServer> {
    const server = new ApiServer(o);
    await server.cache.start();
    try {
      await server.#customResources.start();
      await createBootObjects(server, firstServiceIp(o.serviceCidr ?? SERVICE_CIDR));
    } catch (error) {
      await server.close();
      throw error;
    }
    server.#housekeeping.start();
    return server;
  }

  /** Ends all watches; the store stays open. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#housekeeping.stop();
    await this.#customResources.stop();
    await this.cache.stop();
  }

  /** Calls without a wire, as this user. */
  transport(user: User = SYSTEM): Transport {
    return inProcess(this, user);
  }

  /** Rejects with ApiError only. */
  async handle(call: Call, caller: Caller): Promise<Answer> {
    try {
      const answer = await this.#dispatch(call, caller);
      if (answer.type === "object" && isWrite(call)) await this.#written(call, caller, answer);
      return answer;
    } catch (error) {
      throw apiErrorOf(error);
    }
  }

  async #written(call: Call, caller: Caller, { def, entry }: Extract<Answer, { type: "object" }>): Promise<void> {
    const wanted = call.subresource === undefined && call.verb !== "delete" ? notHonoured(def, entry.object) : [];
    for (const warning of [...(def.warnings?.(entry.object) ?? []), ...wanted]) caller.warn(warning);
    // A CRD is answered when it is served, so that its objects can follow at once.
    const isCrd = def.plural === "customresourcedefinitions" && call.subresource === undefined;
    if (!isCrd || call.cause?.component === CRD_COMPONENT) return;
    await this.#customResources.settled(entry.object.metadata.name ?? "", entry.revision);
  }

  async watch(call: Call): Promise<Watcher> {
    try {
      if (this.#closed) throw new ApiError("ServiceUnavailable", "the server is shutting down");
      const { def, namespace } = this.#address(call);
      if (def.virtual || (def.verbs && !def.verbs.includes("watch"))) throw notAllowed();
      const params = call.name ? watchOfOne(call.name, call.params) : (call.params ?? {});
      return await this.#reader.watch(def, namespace, params);
    } catch (error) {
      throw apiErrorOf(error);
    }
  }

  /** The store may be able to show what it could not before. */
  keysChanged(): Promise<void> {
    return this.cache.rereadHidden();
  }

  /** Rejects when the store does not answer. */
  async reachStore(): Promise<void> {
    if (!(await this.cache.fresh())) throw new ApiError("ServiceUnavailable", "the watch cache is behind the store");
  }

  /** What admission says of a connection that is about to be made. Rejects with ApiError only. */
  async admitConnect(call: Call, options: ApiObject, caller: Caller): Promise<void> {
    try {
      const { name = "", subresource = "" } = call;
      const c = writeContext({ ...call, params: {} }, caller, this.clock.now());
      await this.#registry.admit(this.#address(call), { operation: "CONNECT", name, subresource, object: options }, c);
    } catch (error) {
      throw apiErrorOf(error);
    }
  }

  /** How many objects of the kind are stored, in all namespaces. */
  sizeOf({ group, version, resource }: Pick<Call, "group" | "version" | "resource">): number {
    const def = this.find(group, version, resource);
    const stored = def && policyOf(def);
    return stored && this.cache.has(stored) ? this.cache.resource(stored).size : 0;
  }

  find(group: string, version: string, plural: string): ResourceDef | undefined {
    return this.resources.find(group, version, plural);
  }

  #dispatch(call: Call, caller: Caller): Promise<Answer> {
    if (this.#closed) throw new ApiError("ServiceUnavailable", "the server is shutting down");
    const at = this.#address(call);
    const c = writeContext(call, caller, this.clock.now());
    if (call.name !== undefined && call.verb !== "list" && call.verb !== "deletecollection")
      refuseName(at.def, call.name);
    if (at.def.deprecated) caller.warn(at.def.deprecated);
    return this.#dispatcher.dispatch(call, at, c);
  }

  #address(call: Call): Address {
    const def = this.find(call.group, call.version, call.resource);
    if (!def) throw new ApiError("NotFound", "the server could not find the requested resource");
    return { def, namespace: def.namespaced ? (call.namespace ?? "") : "" };
  }

  /** Removes an object whose time is over, unless it has changed since. */
  async #remove(def: ResourceDef, entry: Entry): Promise<void> {
    const { name = "", namespace = "" } = entry.object.metadata;
    const c = {
      now: this.clock.now(),
      user: SYSTEM,
      warn: () => {},
      dryRun: false,
      fieldValidation: "Ignore" as const,
      manager: "apiserver",
      force: false,
    };
    const preconditions = { resourceVersion: entry.revision.toString() };
    await this.#registry.delete({ def, namespace }, name, { preconditions }, c);
  }
}

const isWrite = ({ verb }: Call) => verb !== "get" && verb !== "list" && verb !== "watch";

function watchOfOne(name: string, params: Readonly<Record<string, string>> = {}) {
  const { fieldSelector } = params;
  const one = `metadata.name=${name}`;
  return { ...params, fieldSelector: fieldSelector ? `${fieldSelector},${one}` : one };
}
