/** What a call is on the wire: method, path, query, headers and body. */
import type { Readable } from "node:stream";
import type { Call, Verb } from "./transport.ts";

export type Query = Readonly<Record<string, string | readonly string[]>>;

export interface RawRequest {
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream goes out as it is read. */
  readonly body?: string | Uint8Array | Readable;
  /** Milliseconds of silence allowed; 0 for ever (`logs -f`). Default `HttpOptions.answerTimeoutMs`. */
  readonly idleMs?: number;
  /** Until the answer begins. Default `HttpOptions.answerTimeoutMs`. */
  readonly answerMs?: number;
}

export const METHODS: Readonly<Record<Verb, string>> = {
  get: "GET",
  list: "GET",
  watch: "GET",
  create: "POST",
  update: "PUT",
  patch: "PATCH",
  delete: "DELETE",
  deletecollection: "DELETE",
};

/** The path of a call: `/apis/apps/v1/namespaces/default/deployments/web/status`. */
export function pathOf(call: Omit<Call, "verb">): string {
  const parts = call.group ? ["apis", call.group, call.version] : ["api", call.version];
  if (call.namespace) parts.push("namespaces", call.namespace);
  parts.push(call.resource);
  if (call.name) parts.push(call.name);
  if (call.subresource) parts.push(...call.subresource.split("/"));
  return `/${parts.map(encodeURIComponent).join("/")}`;
}

const WRITES: ReadonlySet<Verb> = new Set(["create", "update", "patch"]);

export function requestOf(call: Call): RawRequest {
  const { cause, params } = call;
  const manager = WRITES.has(call.verb) && cause && !params?.fieldManager ? { fieldManager: cause.component } : {};
  return {
    query: { ...manager, ...params },
    ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    headers: {
      ...(call.body !== undefined && { "content-type": call.patchType ?? "application/json" }),
      ...(cause && call.verb !== "get" && { "mini-kube-cause": JSON.stringify(cause) }),
    },
  };
}
