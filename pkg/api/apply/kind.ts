/** What the body of an apply must be, whatever it says. */
import type { ObjectMeta } from "../object.ts";
import { apiVersionOf } from "../object.ts";
import { badRequest } from "../status.ts";
import { isObject, type Json } from "./containers.ts";

/** Throws BadRequest unless `applied` says that it is of this kind, and leaves managedFields to the server. */
export function checkKind(
  def: { readonly group: string; readonly version: string; readonly kind: string },
  applied: unknown,
): Json & { readonly metadata: ObjectMeta } {
  if (!isObject(applied)) throw badRequest("error decoding YAML: an apply patch must be an object");
  const { apiVersion = "", kind = "", metadata = {} } = applied;
  if (apiVersion !== apiVersionOf(def) || kind !== def.kind) {
    const text = String(apiVersion);
    throw badRequest(`invalid object type: ${text.includes("/") ? text : `/${text}`}, Kind=${String(kind)}`);
  }
  if (!isObject(metadata)) throw badRequest("error decoding YAML: metadata must be an object");
  if (metadata["managedFields"] !== undefined && metadata["managedFields"] !== null) {
    throw badRequest("metadata.managedFields must be nil");
  }
  return { ...applied, metadata };
}
