/** Writes as the API server does them (apiserver/write-policy.ts), with nothing around: for tests of kinds. */
import { strictDecode } from "../../decode.ts";
import { deepClone } from "../../equal.ts";
import type { ApiObject } from "../../object.ts";
import { apiVersionOf } from "../../object.ts";
import type { RequestContext, ResourceDef } from "../../resource.ts";
import { type FieldError, invalid } from "../../status.ts";
import { validateMetadata } from "../../validation/meta.ts";
import type { DeepReadonly } from "../../../util/types.ts";

/** One hour after what {@link created} makes was made. */
export const NOW = Date.parse("2026-01-01T01:00:00Z");
const CONTEXT: RequestContext = { now: NOW, user: { name: "u", groups: [] } };

/** As decoded and defaulted; throws where the schema does not know a field or its type. */
export function decoded<T extends ApiObject>(def: ResourceDef<T>, manifest: unknown): T {
  const { value, unknown, errors } = strictDecode(def.schema, manifest);
  if (unknown.length || errors.length) throw new Error([...unknown, ...errors].join("; "));
  const o = value as T;
  o.apiVersion = apiVersionOf(def);
  o.kind = def.kind;
  o.metadata ??= {};
  def.setDefaults?.(o);
  return o;
}

/** As stored by a POST; without validation. */
export function created<T extends ApiObject>(def: ResourceDef<T>, manifest: unknown): T {
  const o = decoded(def, manifest);
  o.metadata.uid = "u-1";
  o.metadata.creationTimestamp = "2026-01-01T00:00:00Z";
  if (def.namespaced) o.metadata.namespace ??= "default";
  def.prepareForCreate?.(o, CONTEXT);
  return o;
}

/** As a PUT of `manifest` would store it. */
export function updated<T extends ApiObject>(def: ResourceDef<T>, manifest: unknown, old: T): T {
  const next = decoded(def, manifest);
  const { uid, creationTimestamp, namespace, generation } = old.metadata;
  const kept = Object.entries({ uid, creationTimestamp, namespace, generation });
  Object.assign(next.metadata, Object.fromEntries(kept.filter(([, v]) => v !== undefined)));
  def.prepareForUpdate?.(next, old as DeepReadonly<T>, CONTEXT);
  return next;
}

/** `field: what is wrong`, one line an error, as clients print them. */
export function complaints<T extends ApiObject>(def: ResourceDef<T>, next: T, old?: T): string[] {
  const [is, was] = [next as DeepReadonly<T>, old as DeepReadonly<T> | undefined];
  return lines([
    ...validateMetadata(def, next as DeepReadonly<ApiObject>, old as DeepReadonly<ApiObject> | undefined),
    ...(def.validate?.(is, was) ?? []),
  ]);
}

export function lines(errors: readonly FieldError[] | undefined): string[] {
  const causes = invalid({ group: "", kind: "X" }, "x", errors ?? []).details?.causes ?? [];
  return causes.map((c) => `${c.field}: ${c.message}`);
}

/** A PUT of one part. */
export function writePart<T extends ApiObject>(def: ResourceDef<T>, name: string, old: T, change: (o: T) => void) {
  const part = def.subresources[name];
  if (part?.type !== "part") throw new Error(`${name} is no part of a ${def.kind}`);
  const next = deepClone(old) as T;
  change(next);
  part.prepareForUpdate(next, old as DeepReadonly<T>, CONTEXT);
  return { next, errors: lines(part.validate?.(next as DeepReadonly<T>, old as DeepReadonly<T>)) };
}

/** The cells of `kubectl get`, or of `-o wide`. */
export function row<T extends ApiObject>(def: ResourceDef<T>, o: T, wide = false): (string | number | boolean)[] {
  return def.columns.filter((c) => wide || !c.wide).map((c) => c.cell(o as DeepReadonly<T>, NOW));
}

/** The headings above them. */
export function headings<T extends ApiObject>(def: ResourceDef<T>): string {
  return def.columns.map((c) => (c.wide ? `(${c.name})` : c.name)).join(" ");
}
