/**
 * What all API objects have in common, and the few helpers that read it. The kinds' own types are generated (types in
 * generated/types.ts); this file is the part that code generic over kinds stands on.
 */
import type { DeepReadonly } from "../util/types.ts";

/** `metav1.Time`: RFC 3339 with seconds, a string as on the wire. */
export type Time = string;
/** `metav1.MicroTime`: RFC 3339 with microseconds. */
export type MicroTime = string;

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ManagedFieldsEntry {
  manager?: string;
  operation?: string;
  apiVersion?: string;
  time?: Time;
  fieldsType?: string;
  fieldsV1?: object;
  subresource?: string;
}

export interface ObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  /** The store revision of the last write, in decimal; one counter for all kinds. */
  resourceVersion?: string;
  /** Counts changes of the desired state (spec), not of status or metadata. */
  generation?: number;
  creationTimestamp?: Time;
  deletionTimestamp?: Time;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: ManagedFieldsEntry[];
  selfLink?: string;
}

export interface ApiObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

export interface ListMeta {
  resourceVersion?: string;
  continue?: string;
  remainingItemCount?: number;
}

export interface ObjectList<T extends ApiObject = ApiObject> {
  apiVersion?: string;
  kind?: string;
  metadata: ListMeta;
  items: T[];
}

export type WatchEventType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";

/** An ERROR event never reaches a caller as an event: the stream rejects with its ApiError instead. */
export interface WatchEvent<T extends ApiObject = ApiObject> {
  type: WatchEventType;
  object: T;
}

/** `namespace/name`, or `name` for what has no namespace: the key of caches and work queues. */
export type ObjectKey = string;

export function nameOf(o: DeepReadonly<ApiObject>): string {
  return o.metadata.name ?? "";
}

export function namespaceOf(o: DeepReadonly<ApiObject>): string {
  return o.metadata.namespace ?? "";
}

export function uidOf(o: DeepReadonly<ApiObject>): string {
  return o.metadata.uid ?? "";
}

export function keyOf(o: DeepReadonly<ApiObject>): ObjectKey {
  return makeKey(namespaceOf(o), nameOf(o));
}

export function makeKey(namespace: string | undefined, name: string): ObjectKey {
  return namespace ? `${namespace}/${name}` : name;
}

export function splitKey(key: ObjectKey): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return slash < 0 ? { namespace: "", name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** `v1` or `apps/v1`. */
export function apiVersionOf(gv: { group: string; version: string }): string {
  return gv.group ? `${gv.group}/${gv.version}` : gv.version;
}

export function parseApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf("/");
  return slash < 0
    ? { group: "", version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** The owner that manages this object, if any. */
export function controllerOf(o: DeepReadonly<ApiObject>): DeepReadonly<OwnerReference> | undefined {
  return o.metadata.ownerReferences?.find((r) => r.controller === true);
}
