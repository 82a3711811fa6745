/**
 * What a kind is. One {@link ResourceDef} per kind; routing, discovery, OpenAPI, validation, patch strategy and printing
 * all derive from the table of them (table.ts). A new kind is one file in kinds/ and one row there: no handler code.
 *
 * Everything here is pure: no I/O, no clock but the one in {@link RequestContext}.
 */
import type { DeepReadonly } from "../util/types.ts";
import type { CustomSchema } from "./custom-schema.ts";
import type { ApiObject } from "./object.ts";
import type { FieldError } from "./status.ts";

/** What a policy hook may know about the request it serves. */
export interface RequestContext {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly user: {
    readonly name: string;
    readonly groups: readonly string[];
    readonly uid?: string;
    /** What else is known of the user, by keys like `authentication.kubernetes.io/pod-name`. */
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

/** One column of `kubectl get`. Cells are already humanised. */
export interface Column<T extends ApiObject> {
  readonly name: string;
  readonly type: "string" | "integer" | "date" | "boolean" | "number";
  readonly format?: "name";
  readonly description?: string;
  /** Shown only with `-o wide`. */
  readonly wide?: true;
  readonly cell: (o: DeepReadonly<T>, now: number) => string | number | boolean;
}

/** What names a kind, and the type that decodes it. */
export interface KindRef {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The type's name in the generated schema. */
  readonly schema: string;
}

/**
 * A part of an object with an address of its own.
 *  - `part`: GET/PUT/PATCH of the object that may change only this part (`status`, `ephemeralcontainers`, `resize`).
 *  - `facet`: GET/PUT/PATCH of another kind that is a view of a part of the object (`scale`).
 *  - `action`: POST of another kind that changes the object (`binding`, `finalize` by PUT).
 *  - `call`: POST of another kind that the server answers, looking at more than the object (`eviction`, `token`); the
 *    handler is found by the subresource's name (apiserver/calls.ts).
 *  - `connect`: a stream or a request that is handed on (`log`, `exec`, `attach`, `portforward`, `proxy`).
 */
export type Subresource<T extends ApiObject> =
  | {
      readonly type: "part";
      /** Carries the part over and resets all else to `old`. */
      readonly prepareForUpdate: (next: T, old: DeepReadonly<T>, c: RequestContext) => void;
      readonly validate?: (next: DeepReadonly<T>, old: DeepReadonly<T>) => readonly FieldError[];
    }
  | {
      readonly type: "facet";
      readonly of: KindRef;
      /** The facet as it is now, with the object's name, namespace, uid and creationTimestamp. */
      readonly read: (o: DeepReadonly<T>) => ApiObject;
      /** Carries what the facet wants over to the object. */
      readonly write: (o: T, facet: DeepReadonly<ApiObject>) => void;
      readonly validate?: (facet: DeepReadonly<ApiObject>) => readonly FieldError[];
    }
  | {
      readonly type: "action";
      readonly verb: "create" | "update";
      /** The kind of the body; its schema decodes it. */
      readonly input: KindRef;
      /** Changes `target` as `input` says; throws ApiError to refuse. */
      readonly apply: (target: T, input: ApiObject, c: RequestContext) => void;
      /** What the client gets: a Status "Success" (bindings) or the object. */
      readonly answer: "status" | "object";
    }
  | { readonly type: "call"; readonly input: KindRef }
  | { readonly type: "connect"; readonly verbs: readonly ("get" | "create" | "update" | "patch" | "delete")[] };

/**
 * One kind served under several versions or groups is stored as one of them; the others are views of it. A view has no
 * policy of its own: what is written through it is converted, then treated as the stored kind.
 */
export interface View {
  /** What is stored. */
  readonly of: ResourceDef;
  /** Both give a new object with apiVersion and kind set; metadata passes unchanged. Total: they never throw. */
  readonly toStored: (o: ApiObject) => ApiObject;
  readonly fromStored: (o: DeepReadonly<ApiObject>) => ApiObject;
  /** The names that field selectors use here, and the stored kind's names for them. Default: the same. */
  readonly fieldLabels?: Readonly<Record<string, string>>;
}

export interface ResourceDef<T extends ApiObject = ApiObject> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** The type's name in the generated schema: `Pod`. With {@link custom}: what errors call it. */
  readonly schema: string;
  /** The schema of a custom resource, in place of the generated one. */
  readonly custom?: CustomSchema;
  /** This version is a view of another one, which is what is stored. */
  readonly view?: View;
  /** Default: all. */
  readonly verbs?: readonly Verb[];
  /** Nothing of it is stored: each answer is computed (apiserver/virtual.ts): reviews, metrics. */
  readonly virtual?: true;
  /** How names are checked; default is a DNS subdomain. */
  readonly validateName?: (name: string) => readonly string[];
  /** Fills in what the user may leave out; also on update. Idempotent. */
  readonly setDefaults?: (o: T) => void;
  /** After defaulting: clears what a client may not set (status). */
  readonly prepareForCreate?: (o: T, c: RequestContext) => void;
  /** Puts back what this endpoint may not change (status). */
  readonly prepareForUpdate?: (next: T, old: DeepReadonly<T>, c: RequestContext) => void;
  /** Beyond what the schema says. With `old`: immutability too. Metadata is validated for all kinds alike. */
  readonly validate?: (next: DeepReadonly<T>, old?: DeepReadonly<T>) => readonly FieldError[];
  /**
   * Grace before removal, in seconds; absent → removed at once. `requested` is what the client asked for.
   * 0 → removed at once. The object stays, with deletionTimestamp, until somebody deletes it with grace 0.
   */
  readonly gracePeriodSeconds?: (o: DeepReadonly<T>, requested: number | undefined) => number;
  /** Something beside metadata.finalizers still holds a deleted object back (Namespace's spec.finalizers). */
  readonly heldBack?: (o: DeepReadonly<T>) => boolean;
  /** On the write that sets deletionTimestamp (Namespace: status.phase = Terminating). */
  readonly prepareForDelete?: (o: T, c: RequestContext) => void;
  /** Told to whoever wrote it: what was accepted, but may not mean what the user thinks. */
  readonly warnings?: (o: DeepReadonly<T>) => readonly string[];
  /** Told to whoever uses this version: `example.com/v1beta1 Widget is deprecated`. */
  readonly deprecated?: string;
  /** Whether metadata.generation counts the changes of what is wanted; default: where there is a status to lag behind. */
  readonly generations?: boolean;
  /** What becomes of dependents when a delete does not say; default is Background. */
  readonly defaultPropagation?: "Orphan";
  /** Of these, the oldest are removed by the API server when there are more (Events). */
  readonly maxObjects?: number;
  /** Removed by the API server this long after creation (Events). */
  readonly ttlSeconds?: number;
  readonly subresources: Readonly<Record<string, Subresource<T>>>;
  /** Field selectors beyond metadata.name and metadata.namespace. */
  readonly selectableFields: Readonly<Record<string, (o: DeepReadonly<T>) => string>>;
  /** One has `format: "name"`: the first, but for Events. */
  readonly columns: readonly Column<T>[];
  /** Only carries the type, so that a client's calls infer it; never present. */
  readonly __type?: T;
}

/** What names a kind to a client. Every ResourceDef is one. */
export interface ResourceRef<T extends ApiObject = ApiObject> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Only carries the type; never present. */
  readonly __type?: T;
}
