/**
 * The one path by which objects are written, for all kinds: each kind adds only its policy (api/resource.ts). Reads are
 * in reader.ts.
 */
import { applyConfiguration, type Applied } from "../api/apply/apply.ts";
import { mergeTypeOf } from "../api/apply/built-in.ts";
import { trackApply, trackUpdate } from "../api/apply/track.ts";
import { decodeObject, type FieldValidation } from "../api/decode.ts";
import { deepClone } from "../api/equal.ts";
import { generateName } from "../api/names.ts";
import type { ApiObject } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import { applyJsonPatch } from "../api/patch/json-patch.ts";
import { applyMergePatch } from "../api/patch/merge-patch.ts";
import { applyStrategicMergePatch } from "../api/patch/strategic-merge.ts";
import type { RequestContext, ResourceDef, Subresource } from "../api/resource.ts";
import { ApiError, alreadyExists, invalid, notFound } from "../api/status.ts";
import type { PatchType } from "../client/transport.ts";
import type { Expectation } from "../store/store.ts";
import type { Random } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Admission, AdmissionRequest, Operation } from "./admission.ts";
import type { Entry } from "./entry.ts";
import { keyFor } from "./keys.ts";
import type { Changed, Decide, Decision, Storage, Target } from "./storage.ts";
import { policyOf, toStored, viewed } from "./view.ts";
import type { WatchCache } from "./watchcache.ts";
import {
  type DeleteOptions,
  type Part,
  beforeDelete,
  beginCreate,
  beginUpdate,
  checkPreconditions,
  finishCreate,
  finishUpdate,
  fitToAddress,
  newUid,
  refuseIf,
  settled,
} from "./write-policy.ts";

/** Where a request points. `namespace` is "" for kinds that have none. */
export interface Address {
  readonly def: ResourceDef;
  readonly namespace: string;
}

export interface WriteContext extends RequestContext {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  /** Who owns the fields that are written: `kubectl-client-side-apply`. Never empty. */
  readonly manager: string;
  /** Of a server-side apply: takes fields over from other managers. */
  readonly force: boolean;
  /** Told to the client beside the answer. */
  readonly warn: (message: string) => void;
}

export type Action = Extract<Subresource<ApiObject>, { type: "action" }>;
export type Facet = Extract<Subresource<ApiObject>, { type: "facet" }>;

/** A part, and the name under which it is a subresource. */
export interface PartOf {
  readonly name: string;
  readonly part: Part;
}

export interface ApplyPatch {
  readonly type: "application/apply-patch+yaml";
  readonly body: unknown;
}

export type Patch = ApplyPatch | { readonly type: Exclude<PatchType, ApplyPatch["type"]>; readonly body: unknown };

/** Names that were taken before a generated one is given up. */
const GENERATE_ATTEMPTS = 8;
/** A create that finds what it depends on changed each time. */
const RETRIES = 64;
/** Objects of one deletecollection under way at once. */
const DELETE_CONCURRENCY = 32;

export class Registry {
  readonly #storage: Storage;
  readonly #cache: WatchCache;
  readonly #random: Random;
  readonly #admission: Admission;
  readonly #namespaces: ResourceDef | undefined;

  constructor(o: {
    storage: Storage;
    cache: WatchCache;
    random: Random;
    admission: Admission;
    resources: readonly ResourceDef[];
  }) {
    this.#storage = o.storage;
    this.#cache = o.cache;
    this.#random = o.random;
    this.#admission = o.admission;
    this.#namespaces = o.resources.find((d) => d.group === "" && d.plural === "namespaces");
  }

  /** POST. */
  create(at: Address, body: unknown, c: WriteContext): Promise<Entry> {
    const object = decode(at.def, body, c);
    fitToAddress(at.def, object, at);
    return this.#create(at, object, c);
  }

  async #create(at: Address, object: ApiObject, c: WriteContext, applied?: Applied): Promise<Entry> {
    const def = policyOf(at.def);
    const wanted = object.metadata.name ?? "";
    const prefix = object.metadata.generateName ?? "";
    const uid = newUid(this.#random);
    for (let attempt = 1; ; attempt++) {
      const expect = await this.#openNamespace(at, wanted || prefix, attempt > 1);
      if (!wanted && prefix) object.metadata.name = generateName(prefix, this.#random);
      const next = toStored(at.def, deepClone(object));
      beginCreate(def, next, c, uid);
      const request = this.#request(at, "CREATE", c, { object: next });
      await this.#admission.mutate(request);
      finishCreate(def, next, c);
      trackFields(at.def, { next, c, applied });
      const alongside = await this.#admission.validate(request, attempt);
      const target = targetOf({ ...at, def }, next.metadata.name ?? "");
      const result = await this.#storage
        .create(target, next, {
          expect: [...expect, ...alongside.expect],
          ops: alongside.ops,
          dryRun: c.dryRun,
        })
        .finally(alongside.done);
      if ("entry" in result) return result.entry;
      if (result.taken && (wanted || attempt === GENERATE_ATTEMPTS)) {
        throw alreadyExists({ group: def.group, resource: def.plural }, target.name);
      }
      if (attempt === RETRIES) throw busy(target.name);
    }
  }

  /** PUT of the object or, with `part`, of one part of it. */
  async update(at: Address, name: string, body: unknown, c: WriteContext, part?: PartOf): Promise<Entry> {
    const object = decode(at.def, body, c);
    fitToAddress(at.def, object, { namespace: at.namespace, name });
    const decide: Decide = (current, attempt) =>
      this.#decideUpdate(at, current, toStored(at.def, deepClone(object)), { ...c, attempt }, { part });
    return (await this.#storage.change(storedTarget(at, name), decide, c.dryRun)).entry;
  }

  /** The patch is applied to the newest state, as often as it takes. */
  async patch(at: Address, name: string, patch: Patch, c: WriteContext, part?: PartOf): Promise<Entry> {
    let warnings: readonly string[] = [];
    const decide: Decide = (current, attempt) => {
      const live = viewed(at.def, current.object);
      const applied = isApply(patch) ? merged(at, name, live, patch, c, part?.name) : undefined;
      const patched = applied?.object ?? applyPlainPatch(at.def, live, patch);
      const decoded = decodeObject<ApiObject>(at.def, patched, c.fieldValidation);
      warnings = decoded.warnings;
      fitToAddress(at.def, decoded.object, { namespace: at.namespace, name });
      const next = toStored(at.def, decoded.object);
      return this.#decideUpdate(at, current, next, { ...c, attempt }, { part, applied });
    };
    const { entry } = await this.#storage.change(storedTarget(at, name), decide, c.dryRun);
    warnings.forEach(c.warn);
    return entry;
  }

  /** Server-side apply: changes the object or, unless a part of it is meant, makes it. */
  async apply(
    at: Address,
    name: string,
    patch: ApplyPatch,
    c: WriteContext,
    part?: PartOf,
  ): Promise<{ entry: Entry; created: boolean }> {
    for (;;) {
      try {
        return { entry: await this.patch(at, name, patch, c, part), created: false };
      } catch (error) {
        if (part || !isNotFound(error, name)) throw error;
      }
      try {
        const applied = merged(at, name, undefined, patch, c);
        const object = decode(at.def, applied.object, c);
        fitToAddress(at.def, object, { namespace: at.namespace, name });
        return { entry: await this.#create(at, object, c, applied), created: true };
      } catch (error) {
        // Somebody else was quicker: then it is there to be changed.
        if (!(error instanceof ApiError && error.reason === "AlreadyExists")) throw error;
      }
    }
  }

  /** GET, PUT and PATCH of a facet: `change` makes of the facet what is wanted of it. */
  async changeFacet(
    at: Address,
    name: string,
    facet: Facet,
    change: (now: DeepReadonly<ApiObject>) => unknown,
    c: WriteContext,
  ): Promise<object> {
    const decide: Decide = (current, attempt) => {
      const next = deepClone(viewed(at.def, current.object));
      const wanted = decode(facet.of, change(facet.read(next)), c);
      checkPreconditions(at.def, current, wanted.metadata);
      refuseIf(facet.of, wanted, facet.validate?.(wanted) ?? []);
      facet.write(next, wanted);
      return this.#decideUpdate(at, current, toStored(at.def, next), { ...c, attempt }, { facet: "scale" });
    };
    const { entry } = await this.#storage.change(storedTarget(at, name), decide, c.dryRun);
    return facetOf(facet, entry.as(at.def));
  }

  /** POST (or PUT) of another kind that changes the object. */
  async act(at: Address, name: string, action: Action, body: unknown, c: WriteContext): Promise<Entry> {
    const input = decode(action.input, body, c);
    const { uid, resourceVersion } = input.metadata;
    const def = policyOf(at.def);
    const decide: Decide = (current) => {
      checkPreconditions(at.def, current, { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) });
      const next = deepClone(current.object);
      action.apply(next, input, c);
      trackFields(at.def, { old: current.object, next, c });
      return settled(def, next);
    };
    return (await this.#storage.change(storedTarget(at, name), decide, c.dryRun)).entry;
  }

  /** What becomes of `current` when a client wants it to be `next` (or, with `part`, wants that part of it so). */
  async #decideUpdate(
    at: Address,
    current: Entry,
    next: ApiObject,
    c: WriteContext & { attempt: number },
    how: { part?: PartOf | undefined; facet?: string; applied?: Applied | undefined },
  ): Promise<Decision> {
    const def = policyOf(at.def);
    const subresource = how.part?.name ?? how.facet ?? "";
    beginUpdate(def, current, next);
    const request = this.#request(at, "UPDATE", c, { object: next, old: current.object, subresource });
    await this.#admission.mutate(request);
    finishUpdate(def, current, next, c, how.part?.part);
    trackFields(at.def, { old: current.object, next, c, subresource, applied: how.applied });
    const alongside = await this.#admission.validate(request, c.attempt);
    return { ...settled(def, next), alongside };
  }

  #request(
    at: Address,
    operation: Operation,
    c: WriteContext,
    o: { object?: ApiObject; old?: DeepReadonly<ApiObject>; subresource?: string; options?: object },
  ): AdmissionRequest {
    const { metadata } = o.object ?? o.old ?? { metadata: {} };
    return {
      operation,
      def: at.def,
      namespace: at.namespace,
      name: metadata.name ?? "",
      subresource: o.subresource ?? "",
      object: o.object,
      old: o.old,
      user: c.user,
      now: c.now,
      dryRun: c.dryRun,
      options: (o.options ?? {}) as Readonly<Record<string, unknown>>,
      warn: c.warn,
    };
  }

  delete(at: Address, name: string, o: DeleteOptions, c: WriteContext): Promise<Changed> {
    const decide: Decide = async (current, attempt) => {
      const request = this.#request(at, "DELETE", c, { old: current.object, options: o });
      await this.#admission.mutate(request);
      const decision = beforeDelete(policyOf(at.def), current, o, c);
      return { ...decision, alongside: await this.#admission.validate(request, attempt) };
    };
    return this.#storage.change(storedTarget(at, name), decide, c.dryRun);
  }

  /** Deletes each of `entries`; what has gone meanwhile is fine. Rejects with the first other failure. */
  async deleteAll(def: ResourceDef, entries: readonly Entry[], o: DeleteOptions, c: WriteContext): Promise<void> {
    const todo = entries.values();
    const worker = async () => {
      for (const { object } of todo) {
        const at = { def, namespace: object.metadata.namespace ?? "" };
        await this.delete(at, object.metadata.name ?? "", o, c).catch((error: unknown) => {
          if (!(error instanceof ApiError && error.reason === "NotFound")) throw error;
        });
      }
    };
    await Promise.all(Array.from({ length: DELETE_CONCURRENCY }, worker));
  }

  /**
   * What must still hold when the object is written: its namespace exists and is not being deleted. So nothing is ever
   * born into a namespace that its controller believes empty.
   */
  async #openNamespace(at: Address, name: string, live: boolean): Promise<Expectation[]> {
    if (!at.def.namespaced || !this.#namespaces) return [];
    const key = keyFor(this.#namespaces, "", at.namespace);
    // What the cache shows may be old: enough to try with, not enough to refuse.
    let entry = live ? undefined : this.#cache.newest(this.#namespaces, key);
    if (!entry || isDeleted(entry)) entry = await this.#storage.read(this.#namespaces, key);
    if (!entry) throw notFound({ group: "", resource: "namespaces" }, at.namespace);
    if (isDeleted(entry)) throw terminating(at, name);
    return [{ key, modRevision: entry.revision }];
  }
}

const isDeleted = (e: Entry) => e.object.metadata.deletionTimestamp !== undefined;

function terminating({ def, namespace }: Address, name: string): ApiError {
  const resource = def.group ? `${def.plural}.${def.group}` : def.plural;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  return new ApiError("Forbidden", `${resource} ${JSON.stringify(name)} is forbidden: ${why}`, {
    name,
    ...(def.group && { group: def.group }),
    kind: def.plural,
    causes: [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${namespace} is being terminated`,
        field: "metadata.namespace",
      },
    ],
  });
}

function storedTarget(at: Address, name: string): Target {
  return targetOf({ ...at, def: policyOf(at.def) }, name);
}

function targetOf({ def, namespace }: Address, name: string): Target {
  return { def, name, key: keyFor(def, namespace, name) };
}

export function decode(
  def: Pick<ResourceDef, "group" | "version" | "kind" | "schema">,
  body: unknown,
  c: WriteContext,
) {
  const { object, warnings } = decodeObject<ApiObject>(def, body, c.fieldValidation);
  warnings.forEach(c.warn);
  return object;
}

/** The patches that need to know nothing but the object and (strategic ones) its schema. */
export function applyPlainPatch(object: object, patch: Patch, schema: string): unknown {
  switch (patch.type) {
    case "application/json-patch+json":
      return applyJsonPatch(object, patch.body);
    case "application/merge-patch+json":
      return applyMergePatch(object, patch.body);
    case "application/strategic-merge-patch+json":
      return applyStrategicMergePatch(object, patch.body, schema);
    case "application/apply-patch+yaml":
      throw new ApiError("UnsupportedMediaType", "server-side apply is not supported here");
  }
}

function applyPatch(
  def: ResourceDef,
  object: DeepReadonly<ApiObject> | undefined,
  patch: Patch,
  c: WriteContext,
  subresource: string,
): unknown {
  switch (patch.type) {
    case "application/strategic-merge-patch+json":
      if (def.custom) {
        const why = "strategic merge patch is not supported for custom resources; use application/merge-patch+json";
        throw new ApiError("UnsupportedMediaType", `the body of the request was in an unknown format - ${why}`);
      }
      return applyPlainPatch(object ?? {}, patch, def.schema);
    case "application/json-patch+json":
    case "application/merge-patch+json":
      return applyPlainPatch(object ?? {}, patch, def.schema);
    case "application/apply-patch+yaml":
      // APPLY: merge patch.body into object (undefined: there is none yet) with c.manager, c.force, subresource.
      void c;
      void subresource;
      throw new ApiError("UnsupportedMediaType", "server-side apply is not there yet");
  }
}

/**
 * Keeps metadata.managedFields of a write that is otherwise final. Field ownership is told in the version that the client
 * used.
 */
function trackFields(
  def: ResourceDef,
  o: {
    old?: DeepReadonly<ApiObject>;
    next: ApiObject;
    c: WriteContext;
    subresource?: string;
    applied?: ApplyPatch | undefined;
  },
): void {
  // APPLY: trackUpdate / trackApply over viewed(def, o.old) and viewed(def, o.next) by o.c.manager.
  void def;
  delete o.next.metadata.managedFields;
}

/** A facet as a client sees it: with the version of the object it is a part of. */
export function facetOf(facet: Facet, entry: Entry): ApiObject {
  const value = facet.read(entry.object);
  const { group, version, kind } = facet.of;
  const metadata = { ...value.metadata, resourceVersion: entry.revision.toString() };
  return { ...value, apiVersion: apiVersionOf({ group, version }), kind, metadata };
}

function isNotFound(error: unknown, name: string): boolean {
  return error instanceof ApiError && error.reason === "NotFound" && error.details?.name === name;
}

function busy(name: string): ApiError {
  return new ApiError("Conflict", `${name} could not be written: others changed what it depends on, please try again`);
}

/** For a name that cannot be a key of the store: such an object cannot exist. */
export function refuseName(def: ResourceDef, name: string): void {
  if (!name.includes("/") && name !== "" && name !== "." && name !== "..") return;
  throw invalid(def, name, [{ type: "Invalid", field: "metadata.name", value: name, detail: "may not contain '/'" }]);
}
