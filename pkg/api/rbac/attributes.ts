/** What is asked of authorization: who wants to do what. */
import type { RequestContext } from "../resource.ts";

export type User = RequestContext["user"];

/** Of a resource or, with `path`, of an address that is none. What does not apply is "". */
export interface Attributes {
  readonly user: User;
  /** `get`, `list`, `deletecollection`, `impersonate`, `bind` …; of a path the HTTP method in lower case. */
  readonly verb: string;
  readonly apiGroup: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Of a list or watch, as the client wrote it. */
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Present: no resource is meant. */
  readonly path?: string;
}

const NOTHING = { apiGroup: "", resource: "", subresource: "", namespace: "", name: "" };

/** Of a resource; what is left out is "". */
export function onResource(
  user: User,
  verb: string,
  what: Partial<Omit<Attributes, "user" | "verb" | "path">>,
): Attributes {
  return { ...NOTHING, ...what, user, verb };
}

export function onPath(user: User, verb: string, path: string): Attributes {
  return { ...NOTHING, user, verb, path };
}

export const MASTERS = "system:masters";
export const AUTHENTICATED = "system:authenticated";
export const UNAUTHENTICATED = "system:unauthenticated";
const SERVICE_ACCOUNT = "system:serviceaccount:";

export function serviceAccountUser(namespace: string, name: string): string {
  return `${SERVICE_ACCOUNT}${namespace}:${name}`;
}

/** Undefined when it is no ServiceAccount's user name. */
export function splitServiceAccountUser(user: string): { namespace: string; name: string } | undefined {
  if (!user.startsWith(SERVICE_ACCOUNT)) return undefined;
  const [namespace, name, ...rest] = user.slice(SERVICE_ACCOUNT.length).split(":");
  return namespace && name && rest.length === 0 ? { namespace, name } : undefined;
}

export function serviceAccountGroups(namespace: string): string[] {
  return ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
}
