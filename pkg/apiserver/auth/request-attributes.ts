/** What authorization is asked for a call. */
import { type Attributes, type User, onResource } from "../../api/rbac/attributes.ts";
import { parseFieldSelector } from "../../api/selectors.ts";
import type { Call } from "../../client/transport.ts";

export function attributesOf(user: User, call: Call): Attributes {
  const { verb, group, resource, subresource = "", params = {} } = call;
  const selector = call.verb === "list" || call.verb === "watch" || call.verb === "deletecollection";
  const fieldSelector = selector ? (params["fieldSelector"] ?? "") : "";
  const labelSelector = selector ? (params["labelSelector"] ?? "") : "";
  const name = call.name ?? nameIn(fieldSelector);
  // A namespace lies in itself: who may read in it may read the Namespace too.
  const namespace = group === "" && resource === "namespaces" ? (call.name ?? "") : (call.namespace ?? "");
  const selectors = { ...(fieldSelector && { fieldSelector }), ...(labelSelector && { labelSelector }) };
  return onResource(user, verb, { apiGroup: group, resource, subresource, namespace, name, ...selectors });
}

/** Who asks for all objects of one name asks for that object. */
function nameIn(fieldSelector: string): string {
  if (!fieldSelector.includes("metadata.name")) return "";
  try {
    return parseFieldSelector(fieldSelector).find((r) => r.field === "metadata.name" && r.equal)?.value ?? "";
  } catch {
    return "";
  }
}
