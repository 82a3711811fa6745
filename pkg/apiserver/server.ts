/**
 * The API server without a wire: calls in, answers out. http.ts puts HTTPS in front of it, inprocess.ts nothing at all.
 */
import { fieldManagerErrors, managerOfUserAgent } from "../api/apply/field-manager.ts";
import type { FieldValidation } from "../api/decode.ts";
import { notHonoured } from "../api/not-honoured.ts";
import type { ApiObject } from "../api/object.ts";
import { parseApiVersion } from "../api/object.ts";
import type { ResourceDef, Subresource } from "../api/resource.ts";
import { ApiError, badRequest, invalid, isReason, notFound, type Status } from "../api/status.ts";
import { resources as allResources } from "../api/table.ts";
import { forbidden } from "../api/validation/field.ts";
import { Client } from "../client/client.ts";
import type { Call, Transport } from "../client/transport.ts";
import type { Store } from "../store/store.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import { Admission, type AdmissionPlugin, type ClusterView } from "./admission.ts";
import { defaultPlugins } from "./admission/plugins.ts";
import { bootObjects } from "./boot.ts";
import { evict } from "./calls/eviction.ts";
import { clusterView } from "./cluster-view.ts";
import { CRD_COMPONENT, CustomResources } from "./crds.ts";
import { readDeleteOptions } from "./delete-options.ts";
import { Entry } from "./entry.ts";
import { Housekeeping } from "./housekeeping.ts";
import type { Answer, Caller, Handler, User } from "./handler.ts";
import { inProcess } from "./inprocess.ts";
import { resourceKey } from "./keys.ts";
import { parseDryRun } from "./list-options.ts";
import { type Patch, applyPlainPatch, isApply } from "./patching.ts";
import { Reader } from "./reader.ts";
import {
  type Address,
  type Facet,
  type PartOf,
  Registry,
  type WriteContext,
  decode,
  facetOf,
  refuseName,
} from "./registry.ts";
import { ResourceTable } from "./resource-table.ts";
import { select } from "./selection.ts";
import { Storage, apiErrorOf } from "./storage.ts";
import type { CallHandler, VirtualHandler, VirtualRequest } from "./virtual.ts";
import { WatchCache } from "./watchcache.ts";
import type { Watcher } from "./watcher.ts";
import { fitToAddress } from "./write-policy.ts";

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
  readonly watchQueueLimit?: number;
}

type CallSubresource = Extract<Subresource<ApiObject>, { type: "call" }>;

const SYSTEM: User = { name: "system:apiserver", groups: ["system:masters"] };

export class ApiServer implements Handler {
  readonly resources: ResourceTable;
  readonly clock: Clock;
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
  #closed = false;

  private constructor(o: ApiServerOptions) {
    const { store, clock, random, log, resources = allResources } = o;
    this.resources = new ResourceTable(resources);
    this.clock = clock;
    this.cache = new WatchCache({ ...o, resources, log: log.child({ component: "watch-cache" }) });
    const storage = new Storage(store, this.cache);
    this.view = clusterView(this.cache, storage);
    const { mountTokens = false, tolerationSeconds } = o;
    const kinds = () => this.resources.all;
    const plugins =
      o.plugins ?? defaultPlugins({ clock, random, log, resources: kinds, mountTokens, tolerationSeconds });
    const admission = new Admission(plugins, this.view);
    this.#reader = new Reader({ store, storage, cache: this.cache, clock });
    this.#registry = new Registry({ storage, cache: this.cache, random, admission, resources });
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
      await server.#boot();
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

  /** Rejects when the store does not answer. */
  async reachStore(): Promise<void> {
    if (!(await this.cache.fresh())) throw new ApiError("ServiceUnavailable", "the watch cache is behind the store");
  }

  /** What admission says of a connection that is about to be made. Rejects with ApiError only. */
  async admitConnect(call: Call, options: ApiObject, caller: Caller): Promise<void> {
    try {
      const { name = "", subresource = "" } = call;
      const c = this.#context({ ...call, params: {} }, caller);
      await this.#registry.admit(this.#address(call), { operation: "CONNECT", name, subresource, object: options }, c);
    } catch (error) {
      throw apiErrorOf(error);
    }
  }

  find(group: string, version: string, plural: string): ResourceDef | undefined {
    return this.resources.find(group, version, plural);
  }

  #dispatch(call: Call, caller: Caller): Promise<Answer> {
    if (this.#closed) throw new ApiError("ServiceUnavailable", "the server is shutting down");
    const at = this.#address(call);
    const c = this.#context(call, caller);
    if (call.name !== undefined && call.verb !== "list" && call.verb !== "deletecollection")
      refuseName(at.def, call.name);
    if (at.def.deprecated) caller.warn(at.def.deprecated);
    if (at.def.verbs && !at.def.verbs.includes(call.verb)) throw notAllowed();
    if (at.def.virtual) return this.#onVirtual(call, at, c);
    return call.subresource === undefined
      ? this.#onObject(call, at, c)
      : this.#onSubresource(call, at, c, call.subresource);
  }

  async #onObject(call: Call, at: Address, c: WriteContext): Promise<Answer> {
    const { def, namespace } = at;
    const name = call.name ?? "";
    const params = call.params ?? {};
    switch (call.verb) {
      case "get":
        return object(def, await this.#reader.get(def, namespace, name, params));
      case "list":
        return { type: "list", def, ...(await this.#reader.list(def, namespace, params)) };
      case "create":
        return object(def, await this.#registry.create(at, call.body, c), true);
      case "update":
        return object(def, await this.#registry.update(at, name, call.body, c));
      case "patch": {
        const { entry, created } = await this.#patch(at, name, patchOf(call), c);
        return object(def, entry, created);
      }
      case "delete": {
        const done = await this.#registry.delete(at, name, readDeleteOptions(call), c);
        return done.removed ? deleted(def, done.entry) : object(def, done.entry);
      }
      case "deletecollection": {
        const { entries } = await this.#reader.list(def, namespace, selectors(params));
        await this.#registry.deleteAll(def, entries, readDeleteOptions(call), c);
        return { type: "value", value: success(), created: false };
      }
      case "watch":
        throw badRequest("a watch is a stream: use watch()");
    }
  }

  async #onSubresource(call: Call, at: Address, c: WriteContext, path: string): Promise<Answer> {
    const { def, namespace } = at;
    const name = call.name ?? "";
    const sub = def.subresources[path];
    if (!sub) throw notFound({ group: def.group, resource: `${def.plural}/${path}` }, name);
    if (sub.type === "facet") return this.#onFacet(call, at, c, sub);
    if (sub.type === "call" && call.verb === "create") return this.#onCall(call, at, c, sub);
    const part = sub.type === "part" ? { name: path, part: sub } : undefined;
    if (sub.type === "part" && call.verb === "get") {
      return object(def, await this.#reader.get(def, namespace, name, call.params ?? {}));
    }
    if (sub.type === "part" && call.verb === "update") {
      return object(def, await this.#registry.update(at, name, call.body, c, part));
    }
    if (sub.type === "part" && call.verb === "patch") {
      return object(def, (await this.#patch(at, name, patchOf(call), c, part)).entry);
    }
    if (sub.type === "action" && call.verb === sub.verb) {
      const entry = await this.#registry.act(at, name, sub, call.body, c);
      const created = call.verb === "create";
      return sub.answer === "object"
        ? object(def, entry, created)
        : { type: "value", value: success(created), created };
    }
    throw notAllowed();
  }

  async #patch(at: Address, name: string, patch: Patch, c: WriteContext, part?: PartOf) {
    if (isApply(patch)) return this.#registry.apply(at, name, patch, c, { part });
    return { entry: await this.#registry.patch(at, name, patch, c, { part }), created: false };
  }

  async #onFacet(call: Call, at: Address, c: WriteContext, facet: Facet): Promise<Answer> {
    const { def, namespace } = at;
    const name = call.name ?? "";
    if (call.verb === "patch") {
      const patch = patchOf(call);
      if (isApply(patch)) {
        const { entry } = await this.#registry.apply(at, name, patch, c, { facet });
        return { type: "value", value: facetOf(facet, entry.as(def)), created: false };
      }
    }
    if (call.verb === "get") {
      const value = facetOf(facet, await this.#reader.get(def, namespace, name, call.params ?? {}));
      return { type: "value", value, created: false };
    }
    const change = facetChange(call, facet);
    if (!change) throw notAllowed();
    return { type: "value", value: await this.#registry.changeFacet(at, name, facet, change, c), created: false };
  }

  async #onCall(call: Call, at: Address, c: WriteContext, sub: CallSubresource): Promise<Answer> {
    const { def, namespace } = at;
    const name = call.name ?? "";
    const handler = this.calls.get(`${def.plural}/${call.subresource ?? ""}`);
    if (!handler)
      throw new ApiError("ServiceUnavailable", `nobody answers ${def.plural}/${call.subresource ?? ""} here`);
    const input = decode(sub.input, call.body, c);
    const target = await this.#reader.get(def, namespace, name, {});
    const { subresource = "" } = call;
    await this.#registry.admit(at, { operation: "CREATE", name, subresource, object: input }, c);
    const value = await handler(target.object, input, this.#virtualRequest(call, at, c));
    return { type: "value", value, created: true };
  }

  async #onVirtual(call: Call, at: Address, c: WriteContext): Promise<Answer> {
    const { def } = at;
    const handler = this.virtual.get(resourceKey(def));
    const request = this.#virtualRequest(call, at, c);
    if (call.verb === "create" && handler?.create) {
      const input = decode(def, call.body, c);
      fitToAddress(def, input, { namespace: at.namespace });
      return { type: "value", value: await handler.create(input, request), created: true };
    }
    if (call.verb === "get" && handler?.get) return object(def, new Entry("", await handler.get(request), 0n));
    if (call.verb === "list" && handler?.list) {
      const revision = this.cache.revision;
      const { matches } = select(def, { namespace: at.namespace, ...call.params });
      const found = (await handler.list(request)).filter(matches);
      const entries = found.map((o) => new Entry("", o, revision));
      return { type: "list", def, entries, metadata: { resourceVersion: revision.toString() } };
    }
    throw new ApiError("ServiceUnavailable", `nobody answers for ${def.plural} here`);
  }

  #virtualRequest(call: Call, { def, namespace }: Address, context: WriteContext): VirtualRequest {
    const client = new Client(this.transport(), "apiserver");
    return { def, namespace, name: call.name ?? "", context, params: call.params ?? {}, view: this.view, client };
  }

  #address(call: Call): Address {
    const def = this.find(call.group, call.version, call.resource);
    if (!def) throw new ApiError("NotFound", "the server could not find the requested resource");
    return { def, namespace: def.namespaced ? (call.namespace ?? "") : "" };
  }

  #context(call: Call, caller: Caller): WriteContext {
    const asked = call.params?.["fieldValidation"] ?? "";
    refuseOptions(call);
    return {
      now: this.clock.now(),
      user: caller.user,
      warn: caller.warn,
      mayCreate: caller.mayCreate ?? (() => Promise.resolve()),
      dryRun: parseDryRun([call.params?.["dryRun"] ?? "", ...dryRunOfBody(call)]),
      fieldValidation: fieldValidation(asked),
      duplicates: call.duplicates ?? [],
      manager: managerOf(call, caller),
      force: isTrue(call.params?.["force"]),
    };
  }

  /** What every cluster has; costs one look each where it is there already. */
  async #boot(): Promise<void> {
    const client = this.transport(SYSTEM);
    for (const row of bootObjects) await Promise.all(row.map((o) => this.#ensure(client, o)));
  }

  async #ensure(client: Transport, o: ApiObject): Promise<void> {
    const { group, version } = parseApiVersion(o.apiVersion ?? "");
    const def = this.resources.all.find((d) => d.group === group && d.version === version && d.kind === o.kind);
    if (!def) return;
    const { name = "", namespace } = o.metadata;
    if (this.view.get(def, namespace ?? "", name)) return;
    const address = { group, version, resource: def.plural, ...(namespace !== undefined && { namespace }) };
    await client.call({ verb: "create", ...address, body: o }).catch((error: unknown) => {
      if (!isReason(error, "AlreadyExists")) throw error;
    });
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

function object(def: ResourceDef, entry: Entry, created = false): Answer {
  return { type: "object", def, entry: entry.as(def), created };
}

const isWrite = ({ verb }: Call) => verb !== "get" && verb !== "list" && verb !== "watch";

function success(created = false): Status {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", ...(created && { code: 201 }) };
}

function deleted(def: ResourceDef, entry: Entry): Answer {
  const { name = "", uid = "" } = entry.object.metadata;
  const details = { name, ...(def.group && { group: def.group }), kind: def.plural, uid };
  return { type: "value", value: { ...success(), details }, created: false };
}

function patchOf({ patchType: type, body }: Call): Patch {
  if (!type) throw badRequest("a patch needs its type");
  return { type, body } as Patch;
}

/** What a PUT or PATCH makes of a facet. */
function facetChange(call: Call, facet: Facet): ((now: DeepReadonly<ApiObject>) => unknown) | undefined {
  if (call.verb === "update") return () => call.body;
  if (call.verb !== "patch") return undefined;
  const patch = patchOf(call);
  return isApply(patch) ? undefined : (now) => applyPlainPatch(now, patch, facet.of);
}

/** `fieldManager`, else the component, else the name that the client's program gives itself. */
function managerOf(call: Call, caller: Caller): string {
  const asked = call.params?.["fieldManager"] ?? "";
  return asked || call.cause?.component || managerOfUserAgent(caller.userAgent ?? "") || "unknown";
}

const OPTIONS: Partial<Record<Call["verb"], string>> = {
  create: "CreateOptions",
  update: "UpdateOptions",
  patch: "PatchOptions",
};

/** Throws Invalid for parameters of a write that contradict it. */
function refuseOptions({ verb, params = {}, patchType }: Call): void {
  const kind = OPTIONS[verb];
  if (!kind) return;
  const isApply = patchType === "application/apply-patch+yaml";
  const errors = [
    ...fieldManagerErrors(params["fieldManager"] ?? "", isApply),
    ...(verb === "patch" && !isApply && params["force"] !== undefined
      ? [forbidden("force", "may not be specified for non-apply patch")]
      : []),
  ];
  if (errors.length > 0) throw invalid({ group: "meta.k8s.io", kind }, "", errors);
}

const isTrue = (asked: string | undefined) => asked === "true" || asked === "1";

function notAllowed(): ApiError {
  return new ApiError("MethodNotAllowed", "the server does not allow this method on the requested resource");
}

/** Of a deletecollection: which, not how much of it at a time. */
function selectors(params: Readonly<Record<string, string>>) {
  const { labelSelector = "", fieldSelector = "" } = params;
  return { labelSelector, fieldSelector };
}

function watchOfOne(name: string, params: Readonly<Record<string, string>> = {}) {
  const { fieldSelector } = params;
  const one = `metadata.name=${name}`;
  return { ...params, fieldSelector: fieldSelector ? `${fieldSelector},${one}` : one };
}

function dryRunOfBody(call: Call): readonly string[] {
  if (call.verb !== "delete" && call.verb !== "deletecollection") return [];
  const { dryRun } = (call.body ?? {}) as { dryRun?: unknown };
  return Array.isArray(dryRun) ? dryRun.map(String) : [];
}

function fieldValidation(asked: string): FieldValidation {
  if (asked === "") return "Warn";
  if (asked === "Strict" || asked === "Warn" || asked === "Ignore") return asked;
  throw badRequest(`fieldValidation: Unsupported value: "${asked}": supported values: "Ignore", "Strict", "Warn"`);
}
