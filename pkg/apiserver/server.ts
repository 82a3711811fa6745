/**
 * The API server without a wire: calls in, answers out. http.ts puts HTTPS in front of it, inprocess.ts nothing at all.
 */
import type { FieldValidation } from "../api/decode.ts";
import type { ResourceDef } from "../api/resource.ts";
import { ApiError, badRequest, isReason, notFound, type Status } from "../api/status.ts";
import { resources as allResources } from "../api/table.ts";
import type { Call, Transport } from "../client/transport.ts";
import type { Store } from "../store/store.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { readDeleteOptions } from "./delete-options.ts";
import type { Entry } from "./entry.ts";
import { Housekeeping } from "./housekeeping.ts";
import type { Answer, Caller, Handler, User } from "./handler.ts";
import { inProcess } from "./inprocess.ts";
import { parseDryRun } from "./list-options.ts";
import { Reader } from "./reader.ts";
import { type Address, Registry, type WriteContext, refuseName } from "./registry.ts";
import { Storage, apiErrorOf } from "./storage.ts";
import { WatchCache } from "./watchcache.ts";
import type { Watcher } from "./watcher.ts";

export interface ApiServerOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly resources?: readonly ResourceDef[];
  readonly watchQueueLimit?: number;
}

const BOOT_NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];
const SYSTEM: User = { name: "system:apiserver", groups: ["system:masters"] };

export class ApiServer implements Handler {
  readonly resources: readonly ResourceDef[];
  readonly clock: Clock;
  readonly #reader: Reader;
  readonly #registry: Registry;
  readonly #cache: WatchCache;
  readonly #housekeeping: Housekeeping;
  readonly #byPath: ReadonlyMap<string, ResourceDef>;
  #closed = false;

  private constructor(o: ApiServerOptions) {
    const { store, clock, random, log, resources = allResources } = o;
    this.resources = resources;
    this.clock = clock;
    this.#byPath = new Map(resources.map((d) => [`${d.group}/${d.version}/${d.plural}`, d]));
    this.#cache = new WatchCache({ ...o, resources, log: log.child({ component: "watch-cache" }) });
    const storage = new Storage(store, this.#cache);
    this.#reader = new Reader({ store, storage, cache: this.#cache, clock });
    this.#registry = new Registry({ storage, cache: this.#cache, random, resources });
    this.#housekeeping = new Housekeeping({
      store,
      clock,
      log,
      cache: this.#cache,
      remove: (d, e) => this.#remove(d, e),
    });
  }

  /** Loads the state and makes the namespaces that must always exist. Rejects when the store cannot be read. */
  static async open(o: ApiServerOptions): Promise<ApiServer> {
    const server = new ApiServer(o);
    await server.#cache.start();
    try {
      await server.#createNamespaces();
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
    await this.#cache.stop();
  }

  /** Calls without a wire, as this user. */
  transport(user: User = SYSTEM): Transport {
    return inProcess(this, user);
  }

  /** Rejects with ApiError only. */
  async handle(call: Call, caller: Caller): Promise<Answer> {
    try {
      return await this.#dispatch(call, caller);
    } catch (error) {
      throw apiErrorOf(error);
    }
  }

  async watch(call: Call): Promise<Watcher> {
    try {
      if (this.#closed) throw new ApiError("ServiceUnavailable", "the server is shutting down");
      const { def, namespace } = this.#address(call);
      const params = call.name ? watchOfOne(call.name, call.params) : (call.params ?? {});
      return await this.#reader.watch(def, namespace, params);
    } catch (error) {
      throw apiErrorOf(error);
    }
  }

  find(group: string, version: string, plural: string): ResourceDef | undefined {
    return this.#byPath.get(`${group}/${version}/${plural}`);
  }

  #dispatch(call: Call, caller: Caller): Promise<Answer> {
    if (this.#closed) throw new ApiError("ServiceUnavailable", "the server is shutting down");
    const at = this.#address(call);
    const c = this.#context(call, caller);
    if (call.name !== undefined && call.verb !== "list" && call.verb !== "deletecollection")
      refuseName(at.def, call.name);
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
      case "patch":
        return object(def, await this.#registry.patch(at, name, patchOf(call), c));
      case "delete": {
        const done = await this.#registry.delete(at, name, readDeleteOptions(call), c);
        return done.removed ? deleted(def, done.entry) : object(def, done.entry);
      }
      case "deletecollection": {
        const { entries } = await this.#reader.list(def, namespace, selectors(params));
        await this.#registry.deleteAll(def, entries, readDeleteOptions(call), c);
        return { type: "status", status: success(), created: false };
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
    if (sub.type === "part" && call.verb === "get") {
      return object(def, await this.#reader.get(def, namespace, name, call.params ?? {}));
    }
    if (sub.type === "part" && call.verb === "update") {
      return object(def, await this.#registry.update(at, name, call.body, c, sub));
    }
    if (sub.type === "part" && call.verb === "patch") {
      return object(def, await this.#registry.patch(at, name, patchOf(call), c, sub));
    }
    if (sub.type === "action" && call.verb === sub.verb) {
      const entry = await this.#registry.act(at, name, sub, call.body, c);
      const created = call.verb === "create";
      return sub.answer === "object"
        ? object(def, entry, created)
        : { type: "status", status: success(created), created };
    }
    throw new ApiError("MethodNotAllowed", `the server does not allow this method on the requested resource`);
  }

  #address(call: Call): Address {
    const def = this.find(call.group, call.version, call.resource);
    if (!def) throw new ApiError("NotFound", "the server could not find the requested resource");
    return { def, namespace: def.namespaced ? (call.namespace ?? "") : "" };
  }

  #context(call: Call, caller: Caller): WriteContext {
    const asked = call.params?.["fieldValidation"] ?? "";
    return {
      now: this.clock.now(),
      user: caller.user,
      warn: caller.warn,
      dryRun: parseDryRun([call.params?.["dryRun"] ?? "", ...dryRunOfBody(call)]),
      fieldValidation: fieldValidation(asked),
    };
  }

  async #createNamespaces(): Promise<void> {
    if (!this.find("", "v1", "namespaces")) return;
    const client = this.transport(SYSTEM);
    const address = { group: "", version: "v1", resource: "namespaces" };
    for (const name of BOOT_NAMESPACES) {
      const body = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
      await client.call({ verb: "create", ...address, body }).catch((error: unknown) => {
        if (!isReason(error, "AlreadyExists")) throw error;
      });
    }
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
    };
    const preconditions = { resourceVersion: entry.revision.toString() };
    await this.#registry.delete({ def, namespace }, name, { preconditions }, c);
  }
}

function object(def: ResourceDef, entry: Entry, created = false): Answer {
  return { type: "object", def, entry, created };
}

function success(created = false): Status {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", ...(created && { code: 201 }) };
}

function deleted(def: ResourceDef, entry: Entry): Answer {
  const { name = "", uid = "" } = entry.object.metadata;
  const details = { name, ...(def.group && { group: def.group }), kind: def.plural, uid };
  return { type: "status", status: { ...success(), details }, created: false };
}

function patchOf(call: Call) {
  if (!call.patchType) throw badRequest("a patch needs its type");
  return { type: call.patchType, body: call.body };
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
