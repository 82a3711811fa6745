/** Typed verbs over a {@link Transport}. */
import type { ApiObject, ObjectList, WatchEvent } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import type { ResourceRef } from "../api/resource.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Call, Cause, PatchType, Transport, Verb } from "./transport.ts";

export interface ListOptions {
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: "Exact" | "NotOlderThan";
}

export interface WatchOptions extends ListOptions {
  allowWatchBookmarks?: boolean;
  sendInitialEvents?: boolean;
  timeoutSeconds?: number;
}

export interface WriteOptions {
  dryRun?: boolean;
  fieldManager?: string;
  fieldValidation?: "Strict" | "Warn" | "Ignore";
  cause?: Cause;
}

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: "Background" | "Foreground" | "Orphan";
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
  cause?: Cause;
}

/** The verbs of one resource, in one namespace or (namespace undefined) across all. Answers are shared: read-only. */
export interface ResourceClient<T extends ApiObject> {
  get(name: string, signal?: AbortSignal): Promise<DeepReadonly<T>>;
  list(o?: ListOptions, signal?: AbortSignal): Promise<DeepReadonly<ObjectList<T>>>;
  watch(o: WatchOptions, signal: AbortSignal): AsyncIterable<DeepReadonly<WatchEvent<T>>>;
  create(o: DeepReadonly<T>, w?: WriteOptions): Promise<DeepReadonly<T>>;
  update(o: DeepReadonly<T>, w?: WriteOptions): Promise<DeepReadonly<T>>;
  updateStatus(o: DeepReadonly<T>, w?: WriteOptions): Promise<DeepReadonly<T>>;
  patch(
    name: string,
    type: PatchType,
    patch: unknown,
    w?: WriteOptions & { subresource?: string },
  ): Promise<DeepReadonly<T>>;
  delete(name: string, o?: DeleteOptions): Promise<void>;
  deleteCollection(o?: ListOptions & DeleteOptions): Promise<void>;
  /** `name/scale`, or whatever it is called. */
  getSubresource(name: string, sub: string, signal?: AbortSignal): Promise<unknown>;
  /** POSTs `body` to `name/subresource` (binding, eviction); with verb "update" PUTs it (finalize). */
  subresource(name: string, sub: string, body: unknown, verb?: "create" | "update", cause?: Cause): Promise<unknown>;
}

export class Client {
  readonly #transport: Transport;
  readonly #component: string;

  /** `component` names who writes, where a call gives no cause of its own. */
  constructor(transport: Transport, component: string) {
    this.#transport = transport;
    this.#component = component;
  }

  resource<T extends ApiObject>(ref: ResourceRef<T>, namespace?: string): ResourceClient<T> {
    const call = (verb: Verb, rest: Partial<Call> & { w?: WriteOptions | DeleteOptions | undefined }): Call => {
      const { w, ...others } = rest;
      const cause = w?.cause ?? others.cause ?? { component: this.#component };
      return {
        verb,
        group: ref.group,
        version: ref.version,
        resource: ref.plural,
        ...(ref.namespaced && namespace !== undefined && { namespace }),
        ...others,
        cause,
      };
    };
    const send = <R>(c: Call, signal?: AbortSignal) => this.#transport.call(c, signal) as Promise<R>;
    const typed = (o: DeepReadonly<T>) => (o.kind ? o : { apiVersion: apiVersionOf(ref), kind: ref.kind, ...o });
    const at = (o: DeepReadonly<T>) => ({
      ...(ref.namespaced && { namespace: o.metadata.namespace ?? namespace ?? "default" }),
    });
    type Answer = DeepReadonly<T>;
    return {
      get: (name, signal) => send<Answer>(call("get", { name }), signal),
      list: (o = {}, signal) => send<DeepReadonly<ObjectList<T>>>(call("list", { params: paramsOf(o) }), signal),
      watch: (o, signal) =>
        this.#transport.watch(call("watch", { params: { ...paramsOf(o), watch: "true" } }), signal) as AsyncIterable<
          DeepReadonly<WatchEvent<T>>
        >,
      create: (o, w) => send<Answer>(call("create", { ...at(o), body: typed(o), params: writeParams(w), w })),
      update: (o, w) =>
        send<Answer>(
          call("update", { ...at(o), name: o.metadata.name ?? "", body: typed(o), params: writeParams(w), w }),
        ),
      updateStatus: (o, w) =>
        send<Answer>(
          call("update", {
            ...at(o),
            name: o.metadata.name ?? "",
            subresource: "status",
            body: typed(o),
            params: writeParams(w),
            w,
          }),
        ),
      patch: (name, patchType, body, w) =>
        send<Answer>(
          call("patch", {
            name,
            patchType,
            body,
            params: writeParams(w),
            ...(w?.subresource !== undefined && { subresource: w.subresource }),
            w,
          }),
        ),
      delete: async (name, o) => void (await send(call("delete", { name, body: deleteBody(o), w: o }))),
      deleteCollection: async (o = {}) =>
        void (await send(call("deletecollection", { params: paramsOf(o), body: deleteBody(o), w: o }))),
      getSubresource: (name, subresource, signal) => send(call("get", { name, subresource }), signal),
      subresource: (name, subresource, body, verb = "create", cause) =>
        send(call(verb, { name, subresource, body, ...(cause && { cause }) })),
    };
  }
}

const LIST_PARAMS = [
  "labelSelector",
  "fieldSelector",
  "limit",
  "continue",
  "resourceVersion",
  "resourceVersionMatch",
  "allowWatchBookmarks",
  "sendInitialEvents",
  "timeoutSeconds",
] as const;

function paramsOf(o: WatchOptions): Record<string, string> {
  const params: Record<string, string> = {};
  for (const key of LIST_PARAMS) if (o[key] !== undefined && o[key] !== "") params[key] = String(o[key]);
  return params;
}

function writeParams(w: WriteOptions = {}): Record<string, string> {
  return {
    ...(w.dryRun && { dryRun: "All" }),
    ...(w.fieldManager && { fieldManager: w.fieldManager }),
    ...(w.fieldValidation && { fieldValidation: w.fieldValidation }),
  };
}

function deleteBody(o: DeleteOptions = {}): object {
  return {
    kind: "DeleteOptions",
    apiVersion: "v1",
    ...(o.gracePeriodSeconds !== undefined && { gracePeriodSeconds: o.gracePeriodSeconds }),
    ...(o.propagationPolicy && { propagationPolicy: o.propagationPolicy }),
    ...(o.preconditions && { preconditions: o.preconditions }),
    ...(o.dryRun && { dryRun: ["All"] }),
  };
}
