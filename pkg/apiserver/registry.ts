/**
 * The one path by which objects are written, for all kinds: each kind adds only its policy (api/resource.ts). Reads are
 * in reader.ts.
 */
import type { Applied } from "../api/apply/apply.ts";
import { configurationOf } from "../api/apply/facet.ts";
import { copyOf } from "../api/apply/track.ts";
import { decodeObject, type FieldValidation } from "../api/decode.ts";
import { deepClone } from "../api/equal.ts";
import { generateName } from "../api/names.ts";
import type { ApiObject } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import type { RequestContext, ResourceDef, Subresource } from "../api/resource.ts";
import { ApiError, alreadyExists, conflict, invalid, isReason, notFound } from "../api/status.ts";
import type { Expectation } from "../store/store.ts";
import type { Random } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Admission, AdmissionRequest, Alongside, Operation } from "./admission.ts";
import type { Entry } from "./entry.ts";
import { keyFor } from "./keys.ts";
import {
  type ApplyPatch,
  type Patch,
  applyPlainPatch,
  applyTo,
  isApply,
  settleFields,
  trackFields,
} from "./patching.ts";
import type { Changed, Decide, Decision, Storage, Target } from "./storage.ts";
import { policyOf, toStored, viewed } from "./view.ts";
import type { WatchCache } from "./watchcache.ts";
import {
  type DeleteOptions,
  type Part,
  type Settled,
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
  /** Fields that the client's text had more than once. */
  readonly duplicates?: readonly string[];
  /** Who owns the fields that are written: `kubectl-client-side-apply`. Never empty. */
  readonly manager: string;
  /** Of a server-side apply: takes fields over from other managers. */
  readonly force: boolean;
  /** Rejects with Forbidden: an apply that makes an object needs that right too. */
  readonly mayCreate?: () => Promise<void>;
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

/** What of the object a request is about, where that is not all of it. */
export interface Within {
  readonly part?: PartOf | undefined;
  readonly facet?: Facet;
}

const NOTHING: Alongside = { expect: [], ops: [] };

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
      const write = { next, c, subresource: "", applied };
      const tracked = trackFields(at.def, write);
      const request = this.#request(at, "CREATE", c, { object: next });
      await this.#admission.mutate(request);
      finishCreate(def, next, c);
      settleFields(at.def, write, tracked);
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
      this.#decideUpdate(at, current, toStored(at.def, deepClone(object)), { ...c, attempt }, within(part));
    return (await this.#storage.change(storedTarget(at, name), decide, c.dryRun)).entry;
  }

  /** The patch is applied to the newest state, as often as it takes. */
  async patch(at: Address, name: string, patch: Patch, c: WriteContext, within: Within = {}): Promise<Entry> {
    const { part, facet } = within;
    const subresource = part?.name ?? (facet ? "scale" : "");
    let warnings: readonly string[] = [];
    const decide: Decide = (current, attempt) => {
      const live = viewed(at.def, current.object);
      const body = facet ? configurationOf(at.def, facet, live, patch.body) : patch.body;
      const applied = isApply(patch) ? applyTo(at.def, live, body, c, subresource) : undefined;
      const patched = isApply(patch) ? applied?.object : applyPlainPatch(live, patch, at.def);
      const decoded = decodeObject<ApiObject>(at.def, patched, c.fieldValidation, c.duplicates);
      warnings = decoded.warnings;
      fitToAddress(at.def, decoded.object, { namespace: at.namespace, name });
      if (facet) refuseIf(facet.of, decoded.object, facet.validate?.(facet.read(decoded.object)) ?? []);
      const next = toStored(at.def, decoded.object);
      return this.#decideUpdate(at, current, next, { ...c, attempt }, { subresource, part: part?.part, applied });
    };
    const { entry } = await this.#storage.change(storedTarget(at, name), decide, c.dryRun);
    warnings.forEach(c.warn);
    return entry;
  }

  /** Server-side apply: changes the object or, unless only something within it is meant, makes it. */
  async apply(
    at: Address,
    name: string,
    patch: ApplyPatch,
    c: WriteContext,
    within: Within = {},
  ): Promise<{ entry: Entry; created: boolean }> {
    for (let attempt = 1; ; attempt++) {
      try {
        return { entry: await this.patch(at, name, patch, c, within), created: false };
      } catch (error) {
        if (within.part || within.facet || !isNotFound(error, name)) throw error;
      }
      await c.mayCreate?.();
      try {
        const applied = applyTo(at.def, undefined, patch.body, c, "");
        refuseMissing(at, name, applied.object);
        const object = decode(at.def, applied.object, c);
        fitToAddress(at.def, object, { namespace: at.namespace, name });
        return { entry: await this.#create(at, object, c, applied), created: true };
      } catch (error) {
        // Somebody else was quicker: then it is there to be changed.
        if (!isReason(error, "AlreadyExists") || attempt === RETRIES) throw error;
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
      const next = copyOf(viewed(at.def, current.object));
      const wanted = decode(facet.of, change(facet.read(next)), c);
      checkPreconditions(at.def, current, wanted.metadata);
      refuseIf(facet.of, wanted, facet.validate?.(wanted) ?? []);
      facet.write(next, wanted);
      return this.#decideUpdate(at, current, toStored(at.def, next), { ...c, attempt }, { subresource: "scale" });
    };
    const { entry } = await this.#storage.change(storedTarget(at, name), decide, c.dryRun);
    return facetOf(facet, entry.as(at.def));
  }

  /** POST (or PUT) of another kind that changes the object. */
  async act(at: Address, name: string, action: Action, body: unknown, c: WriteContext): Promise<Entry> {
    const input = decode(action.input, body, c);
    const operation = action.verb === "create" ? "CREATE" : "UPDATE";
    await this.admit(at, { operation, name, subresource: subresourceOf(at.def, action), object: input }, c);
    const { uid, resourceVersion } = input.metadata;
    const def = policyOf(at.def);
    const decide: Decide = (current) => {
      checkPreconditions(at.def, current, { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) });
      const next = copyOf(current.object);
      action.apply(next, input, c);
      return this.#withAlongside(def, settled(def, next));
    };
    return (await this.#storage.change(storedTarget(at, name), decide, c.dryRun)).entry;
  }

  /** What becomes of `current` when a client wants it to be `next` (or, with `part`, wants that part of it so). */
  async #decideUpdate(
    at: Address,
    current: Entry,
    next: ApiObject,
    c: WriteContext & { attempt: number },
    how: { subresource: string; part?: Part | undefined; applied?: Applied | undefined },
  ): Promise<Decision> {
    const def = policyOf(at.def);
    const { subresource } = how;
    beginUpdate(def, current, next);
    const write = { ...how, old: current.object, next, c };
    const tracked = trackFields(at.def, write);
    const request = this.#request(at, "UPDATE", c, { object: next, old: current.object, subresource });
    await this.#admission.mutate(request);
    finishUpdate(def, current, next, c, how.part);
    settleFields(at.def, write, tracked);
    return this.#withAlongside(def, settled(def, next), await this.#admission.validate(request, c.attempt));
  }

  /** The decision with all that is written along with it. */
  #withAlongside(def: ResourceDef, decision: Settled, alongside: Alongside = NOTHING): Decision {
    if (decision.verdict !== "remove") return { ...decision, alongside };
    const ops = [...alongside.ops, ...this.#admission.removed(def, decision.last)];
    return { ...decision, alongside: { ...alongside, ops } };
  }

  /** Asks the plugins about what writes no object of its own: an action, a call, a connection. */
  async admit(
    at: Address,
    o: { operation: Operation; name: string; subresource: string; object: ApiObject },
    c: WriteContext,
  ): Promise<void> {
    const request = { ...this.#request(at, o.operation, c, o), name: o.name };
    await this.#admission.mutate(request);
    const { done } = await this.#admission.validate(request, 1);
    done?.();
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
      const def = policyOf(at.def);
      const decision = beforeDelete(def, current, o, c);
      return this.#withAlongside(def, decision, await this.#admission.validate(request, attempt));
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

const within = (part: PartOf | undefined) => ({ subresource: part?.name ?? "", part: part?.part });

function subresourceOf(def: ResourceDef, action: Action): string {
  return Object.keys(def.subresources).find((name) => def.subresources[name] === action) ?? "";
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
  def: Pick<ResourceDef, "group" | "version" | "kind" | "schema" | "custom">,
  body: unknown,
  c: WriteContext,
) {
  const { object, warnings } = decodeObject<ApiObject>(def, body, c.fieldValidation, c.duplicates);
  warnings.forEach(c.warn);
  return object;
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

/** An apply that means a certain object does not make another one. */
function refuseMissing({ def }: Address, name: string, { metadata }: Applied["object"]): void {
  const { uid } = metadata as ApiObject["metadata"];
  if (!uid) return;
  const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
  throw conflict({ group: def.group, resource: def.plural }, name, why);
}

function busy(name: string): ApiError {
  return new ApiError("Conflict", `${name} could not be written: others changed what it depends on, please try again`);
}

/** For a name that cannot be a key of the store: such an object cannot exist. */
export function refuseName(def: ResourceDef, name: string): void {
  if (!name.includes("/") && name !== "" && name !== "." && name !== "..") return;
  throw invalid(def, name, [{ type: "Invalid", field: "metadata.name", value: name, detail: "may not contain '/'" }]);
}
