/**
 * How a call reaches the API server: over HTTPS (http.ts), or as a function call when both live in one process
 * (apiserver/inprocess.ts). Clients cannot tell the difference, except in speed: in process, nothing is encoded, and
 * answers are shared with the server's cache: treat them as read-only, as DeepReadonly in the typed client says.
 */
import type { ApiObject, WatchEvent } from "../api/object.ts";

export type { Verb } from "../api/resource.ts";
import type { Verb } from "../api/resource.ts";

export type PatchType =
  | "application/json-patch+json"
  | "application/merge-patch+json"
  | "application/strategic-merge-patch+json"
  | "application/apply-patch+yaml";

/** Why a write happens: kept in logs and audit, asked for by `why`. */
export interface Cause {
  /** `scheduler`, `kubelet`, `namespace-controller` … also the fieldManager. */
  readonly component: string;
  readonly reconcileId?: string;
  /** Machine-readable, CamelCase: `FailedContainer`. */
  readonly reason?: string;
  /** The object and revision that provoked it: `pods/default/web@42`. */
  readonly object?: string;
}

export interface Call {
  readonly verb: Verb;
  readonly group: string;
  readonly version: string;
  /** Plural. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
  /** Query parameters by their wire names: labelSelector, fieldSelector, resourceVersion, limit, dryRun … */
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Fields that the text of the body had more than once: `spec.replicas`. */
  readonly duplicates?: readonly string[];
  /** Of a patch. */
  readonly patchType?: PatchType;
  readonly cause?: Cause;
}

export interface Transport {
  /** The answer's object. Rejects with ApiError, also when the server cannot be reached (ServiceUnavailable). */
  call(call: Call, signal?: AbortSignal): Promise<unknown>;
  /**
   * The events of a watch call, bookmarks included. Ends without error when the server ends it or the signal aborts;
   * rejects with ApiError (Expired: list again).
   */
  watch(call: Call, signal: AbortSignal): AsyncIterable<WatchEvent<ApiObject>>;
}
