/**
 * The one path by which objects are written, for all kinds: each kind adds only its policy (api/resource.ts). Reads are
 * in reader.ts.
 */
import { decodeObject, type FieldValidation } from "../api/decode.ts";
import { deepClone } from "../api/equal.ts";
import { generateName } from "../api/names.ts";
import type { ApiObject } from "../api/object.ts";
import { applyJsonPatch } from "../api/patch/json-patch.ts";
import { applyMergePatch } from "../api/patch/merge-patch.ts";
import { applyStrategicMergePatch } from "../api/patch/strategic-merge.ts";
import type { RequestContext, ResourceDef, Subresource } from "../api/resource.ts";
import { ApiError, alreadyExists, invalid, notFound } from "../api/status.ts";
import type { PatchType } from "../client/transport.ts";
import type { Expectation } from "../store/store.ts";
import type { Random } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Entry } from "./entry.ts";
import { keyFor } from "./keys.ts";
import type { Changed, Decision, Storage, Target } from "./storage.ts";
import type { WatchCache } from "./watchcache.ts";
import {
  type DeleteOptions,
  type Part,
  beforeCreate,
  beforeDelete,
  beforeUpdate,
  checkPreconditions,
  fitToAddress,
  newUid,
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
  /** Told to the client beside the answer. */
  readonly warn: (message: string) => void;
}

export type Action = Extract<Subresource<ApiObject>, { type: "action" }>;

/** Names that were taken before a generated one is given up. */
const GENERATE_ATTEMPTS = 8;
/** Objects of one deletecollection under way at once. */
const DELETE_CONCURRENCY = 32;

export class Registry {
  readonly #storage: Storage;
  readonly #cache: WatchCache;
  readonly #random: Random;
  readonly #namespaces: ResourceDef | undefined;

  constructor(o: { storage: Storage; cache: WatchCache; random: Random; resources: readonly ResourceDef[] }) {
    this.#storage = o.storage;
    this.#cache = o.cache;
    this.#random = o.random;
    this.#namespaces = o.resources.find((d) => d.group === "" && d.plural === "namespaces");
  }

  async create(at: Address, body: unknown, c: WriteContext): Promise<Entry> {
    const { def } = at;
    const object = decode(def, body, c);
    fitToAddress(def, object, at);
    const wanted = object.metadata.name ?? "";
    const prefix = object.metadata.generateName ?? "";
    const uid = newUid(this.#random);
    for (let attempt = 1; ; attempt++) {
      const expect = await this.#openNamespace(at, wanted || prefix, attempt > 1);
      if (!wanted && prefix) object.metadata.name = generateName(prefix, this.#random);
      const next = deepClone(object);
      beforeCreate(def, next, c, uid);
      const target = targetOf(at, next.metadata.name ?? "");
      const result = await this.#storage.create(target, next, { expect, dryRun: c.dryRun });
      if ("entry" in result) return result.entry;
      if (result.taken && (wanted || attempt === GENERATE_ATTEMPTS)) {
        throw alreadyExists({ group: def.group, resource: def.plural }, target.name);
      }
    }
  }

  /** PUT of the object or, with `part`, of one part of it. */
  async update(at: Address, name: string, body: unknown, c: WriteContext, part?: Part): Promise<Entry> {
    const object = decode(at.def, body, c);
    fitToAddress(at.def, object, { namespace: at.namespace, name });
    const decide = (current: Entry) => beforeUpdate(at.def, current, deepClone(object), c, part);
    return (await this.#storage.change(targetOf(at, name), decide, c.dryRun)).entry;
  }

  /** The patch is applied to the newest state, as often as it takes. */
  async patch(
    at: Address,
    name: string,
    patch: { type: PatchType; body: unknown },
    c: WriteContext,
    part?: Part,
  ): Promise<Entry> {
    let warnings: readonly string[] = [];
    const decide = (current: Entry): Decision => {
      const patched = applyPatch(at.def, current.object, patch);
      const decoded = decodeObject<ApiObject>(at.def, patched, c.fieldValidation);
      warnings = decoded.warnings;
      fitToAddress(at.def, decoded.object, { namespace: at.namespace, name });
      return beforeUpdate(at.def, current, decoded.object, c, part);
    };
    const { entry } = await this.#storage.change(targetOf(at, name), decide, c.dryRun);
    warnings.forEach(c.warn);
    return entry;
  }

  /** POST (or PUT) of another kind that changes the object. */
  async act(at: Address, name: string, action: Action, body: unknown, c: WriteContext): Promise<Entry> {
    const input = decode(action.input, body, c);
    const { uid, resourceVersion } = input.metadata;
    const decide = (current: Entry): Decision => {
      checkPreconditions(at.def, current, { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) });
      const next = deepClone(current.object);
      action.apply(next, input, c);
      return settled(at.def, next);
    };
    return (await this.#storage.change(targetOf(at, name), decide, c.dryRun)).entry;
  }

  delete(at: Address, name: string, o: DeleteOptions, c: WriteContext): Promise<Changed> {
    const decide = (current: Entry) => beforeDelete(at.def, current, o, c);
    return this.#storage.change(targetOf(at, name), decide, c.dryRun);
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

function targetOf({ def, namespace }: Address, name: string): Target {
  return { def, name, key: keyFor(def, namespace, name) };
}

function decode(def: Pick<ResourceDef, "group" | "version" | "kind" | "schema">, body: unknown, c: WriteContext) {
  const { object, warnings } = decodeObject<ApiObject>(def, body, c.fieldValidation);
  warnings.forEach(c.warn);
  return object;
}

function applyPatch(
  def: ResourceDef,
  object: DeepReadonly<ApiObject>,
  patch: { type: PatchType; body: unknown },
): unknown {
  switch (patch.type) {
    case "application/json-patch+json":
      return applyJsonPatch(object, patch.body);
    case "application/merge-patch+json":
      return applyMergePatch(object, patch.body);
    case "application/strategic-merge-patch+json":
      return applyStrategicMergePatch(object, patch.body, def.schema);
    case "application/apply-patch+yaml":
      throw new ApiError(
        "UnsupportedMediaType",
        "server-side apply (application/apply-patch+yaml) is not implemented yet; use kubectl apply without --server-side",
      );
  }
}

/** For a name that cannot be a key of the store: such an object cannot exist. */
export function refuseName(def: ResourceDef, name: string): void {
  if (!name.includes("/") && name !== "" && name !== "." && name !== "..") return;
  throw invalid(def, name, [{ type: "Invalid", field: "metadata.name", value: name, detail: "may not contain '/'" }]);
}
