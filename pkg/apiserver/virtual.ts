/**
 * What is answered without being stored: `virtual` kinds (reviews, metrics) and `call` subresources (eviction, token).
 * Their handlers see the whole cluster through a client and a view; whoever brings one registers it at the ApiServer.
 */
import type { ApiObject } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import type { Client } from "../client/client.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { ClusterView } from "./admission.ts";
import type { WriteContext } from "./registry.ts";

export interface VirtualRequest {
  readonly def: ResourceDef;
  /** "" for kinds that have none, and for a list of all namespaces. */
  readonly namespace: string;
  /** "" for a create or list. */
  readonly name: string;
  readonly context: WriteContext;
  /** Of a list: labelSelector, fieldSelector … */
  readonly params: Readonly<Record<string, string>>;
  readonly view: ClusterView;
  /** Acts as the server itself. */
  readonly client: Client;
}

/** Of a virtual kind. Throws ApiError to refuse. */
export interface VirtualHandler {
  /** `input` is decoded; the answer has apiVersion and kind. */
  readonly create?: (input: ApiObject, r: VirtualRequest) => ApiObject | Promise<ApiObject>;
  readonly get?: (r: VirtualRequest) => ApiObject | Promise<ApiObject>;
  readonly list?: (r: VirtualRequest) => readonly ApiObject[] | Promise<readonly ApiObject[]>;
}

/** Of a `call` subresource. The answer is an object of the input's kind, or a Status. */
export type CallHandler = (
  target: DeepReadonly<ApiObject>,
  input: ApiObject,
  r: VirtualRequest,
) => object | Promise<object>;
