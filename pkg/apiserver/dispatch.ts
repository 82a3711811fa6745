/** From a call to the reader, the registry or a handler of its own, and from what they give to the answer. */
import type { ApiObject } from "../api/object.ts";
import type { ResourceDef, Subresource } from "../api/resource.ts";
import { ApiError, badRequest, notFound, type Status } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import type { Call } from "../client/transport.ts";
import { own } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { ClusterView } from "./admission.ts";
import { readDeleteOptions } from "./delete-options.ts";
import { Entry } from "./entry.ts";
import type { Answer } from "./handler.ts";
import { resourceKey } from "./keys.ts";
import { type Patch, applyPlainPatch, isApply } from "./patching.ts";
import type { Reader } from "./reader.ts";
import {
  type Address,
  type Facet,
  type PartOf,
  type Registry,
  type WriteContext,
  decode,
  facetOf,
} from "./registry.ts";
import { select } from "./selection.ts";
import type { CallHandler, VirtualHandler, VirtualRequest } from "./virtual.ts";
import type { WatchCache } from "./watchcache.ts";
import { fitToAddress } from "./write-policy.ts";

export interface DispatcherOptions {
  readonly reader: Reader;
  readonly registry: Registry;
  readonly cache: WatchCache;
  readonly view: ClusterView;
  /** Acts as the server itself. */
  readonly client: Client;
  readonly virtual: ReadonlyMap<string, VirtualHandler>;
  readonly calls: ReadonlyMap<string, CallHandler>;
}

type CallSubresource = Extract<Subresource<ApiObject>, { type: "call" }>;

/** Knows no kind: what is done with a call follows from its verb and its kind's row of the table. */
export class Dispatcher {
  readonly #o: DispatcherOptions;

  constructor(o: DispatcherOptions) {
    this.#o = o;
  }

  dispatch(call: Call, at: Address, c: WriteContext): Promise<Answer> {
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
        return object(def, await this.#o.reader.get(def, namespace, name, params));
      case "list":
        return { type: "list", def, ...(await this.#o.reader.list(def, namespace, params)) };
      case "create":
        return object(def, await this.#o.registry.create(at, call.body, c), true);
      case "update":
        return object(def, await this.#o.registry.update(at, name, call.body, c));
      case "patch": {
        const { entry, created } = await this.#patch(at, name, patchOf(call), c);
        return object(def, entry, created);
      }
      case "delete": {
        const done = await this.#o.registry.delete(at, name, readDeleteOptions(call), c);
        return done.removed ? deleted(def, done.entry) : object(def, done.entry);
      }
      case "deletecollection": {
        const { entries } = await this.#o.reader.list(def, namespace, selectors(params));
        await this.#o.registry.deleteAll(def, entries, readDeleteOptions(call), c);
        return { type: "value", value: success(), created: false };
      }
      case "watch":
        throw badRequest("a watch is a stream: use watch()");
    }
  }

  async #onSubresource(call: Call, at: Address, c: WriteContext, path: string): Promise<Answer> {
    const { def, namespace } = at;
    const name = call.name ?? "";
    const sub = own(def.subresources, path);
    if (!sub) throw notFound({ group: def.group, resource: `${def.plural}/${path}` }, name);
    if (sub.type === "facet") return this.#onFacet(call, at, c, sub);
    if (sub.type === "call" && call.verb === "create") return this.#onCall(call, at, c, sub);
    const part = sub.type === "part" ? { name: path, part: sub } : undefined;
    if (sub.type === "part" && call.verb === "get") {
      return object(def, await this.#o.reader.get(def, namespace, name, call.params ?? {}));
    }
    if (sub.type === "part" && call.verb === "update") {
      return object(def, await this.#o.registry.update(at, name, call.body, c, part));
    }
    if (sub.type === "part" && call.verb === "patch") {
      return object(def, (await this.#patch(at, name, patchOf(call), c, part)).entry);
    }
    if (sub.type === "action" && call.verb === sub.verb) {
      const entry = await this.#o.registry.act(at, name, sub, call.body, c);
      const created = call.verb === "create";
      return sub.answer === "object"
        ? object(def, entry, created)
        : { type: "value", value: success(created), created };
    }
    throw notAllowed();
  }

  async #patch(at: Address, name: string, patch: Patch, c: WriteContext, part?: PartOf) {
    if (isApply(patch)) return this.#o.registry.apply(at, name, patch, c, { part });
    return { entry: await this.#o.registry.patch(at, name, patch, c, { part }), created: false };
  }

  async #onFacet(call: Call, at: Address, c: WriteContext, facet: Facet): Promise<Answer> {
    const { def, namespace } = at;
    const name = call.name ?? "";
    if (call.verb === "patch") {
      const patch = patchOf(call);
      if (isApply(patch)) {
        const { entry } = await this.#o.registry.apply(at, name, patch, c, { facet });
        return { type: "value", value: facetOf(facet, entry.as(def)), created: false };
      }
    }
    if (call.verb === "get") {
      const value = facetOf(facet, await this.#o.reader.get(def, namespace, name, call.params ?? {}));
      return { type: "value", value, created: false };
    }
    const change = facetChange(call, facet);
    if (!change) throw notAllowed();
    return { type: "value", value: await this.#o.registry.changeFacet(at, name, facet, change, c), created: false };
  }

  async #onCall(call: Call, at: Address, c: WriteContext, sub: CallSubresource): Promise<Answer> {
    const { def, namespace } = at;
    const name = call.name ?? "";
    const handler = this.#o.calls.get(`${def.plural}/${call.subresource ?? ""}`);
    if (!handler)
      throw new ApiError("ServiceUnavailable", `nobody answers ${def.plural}/${call.subresource ?? ""} here`);
    const input = decode(sub.input, call.body, c);
    const target = await this.#o.reader.get(def, namespace, name, {});
    const { subresource = "" } = call;
    await this.#o.registry.admit(at, { operation: "CREATE", name, subresource, object: input }, c);
    const value = await handler(target.object, input, this.#virtualRequest(call, at, c));
    return { type: "value", value, created: true };
  }

  async #onVirtual(call: Call, at: Address, c: WriteContext): Promise<Answer> {
    const { def } = at;
    const handler = this.#o.virtual.get(resourceKey(def));
    const request = this.#virtualRequest(call, at, c);
    if (call.verb === "create" && handler?.create) {
      const input = decode(def, call.body, c);
      fitToAddress(def, input, { namespace: at.namespace });
      return { type: "value", value: await handler.create(input, request), created: true };
    }
    if (call.verb === "get" && handler?.get) return object(def, new Entry("", await handler.get(request), 0n));
    if (call.verb === "list" && handler?.list) {
      const revision = this.#o.cache.revision;
      const { matches } = select(def, { namespace: at.namespace, ...call.params });
      const found = (await handler.list(request)).filter(matches);
      const entries = found.map((o) => new Entry("", o, revision));
      return { type: "list", def, entries, metadata: { resourceVersion: revision.toString() } };
    }
    throw new ApiError("ServiceUnavailable", `nobody answers for ${def.plural} here`);
  }

  #virtualRequest(call: Call, { def, namespace }: Address, context: WriteContext): VirtualRequest {
    const { view, client } = this.#o;
    return { def, namespace, name: call.name ?? "", context, params: call.params ?? {}, view, client };
  }
}

function object(def: ResourceDef, entry: Entry, created = false): Answer {
  return { type: "object", def, entry: entry.as(def), created };
}

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

export function notAllowed(): ApiError {
  return new ApiError("MethodNotAllowed", "the server does not allow this method on the requested resource");
}

/** Of a deletecollection: which, not how much of it at a time. */
function selectors(params: Readonly<Record<string, string>>) {
  const { labelSelector = "", fieldSelector = "" } = params;
  return { labelSelector, fieldSelector };
}
