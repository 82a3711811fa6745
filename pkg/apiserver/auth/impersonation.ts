/** A user acts as another one, by headers; each thing it claims to be needs the right to impersonate that thing. */
import {
  type Attributes,
  AUTHENTICATED,
  UNAUTHENTICATED,
  type User,
  onResource,
  serviceAccountGroups,
  splitServiceAccountUser,
} from "../../api/rbac/attributes.ts";
import { badRequest } from "../../api/status.ts";
import { ANONYMOUS } from "./authentication.ts";

const EXTRA_PREFIX = "impersonate-extra-";
const GROUP = "authentication.k8s.io";

/** Header → values, names in lower case: what Node calls `headersDistinct`. */
type Headers = Readonly<Record<string, string[] | undefined>>;

export interface Impersonation {
  /** Who the caller will be, once all of `needs` is allowed. */
  readonly user: User;
  readonly needs: readonly Attributes[];
}

/** Undefined: the caller is nobody but itself. Throws BadRequest. */
export function impersonationOf(headers: Headers, requestor: User): Impersonation | undefined {
  const name = headers["impersonate-user"]?.[0] ?? "";
  const groups = headers["impersonate-group"] ?? [];
  const uid = headers["impersonate-uid"]?.[0] ?? "";
  const extra = extraOf(headers);
  if (name === "") {
    if (groups.length || uid || Object.keys(extra).length) {
      const claimed = [...groups, ...Object.keys(extra), ...(uid ? [uid] : [])];
      throw badRequest(`requested [${claimed.join(" ")}] without impersonating a user`);
    }
    return undefined;
  }
  const may = (what: Parameters<typeof onResource>[2]) => onResource(requestor, "impersonate", what);
  const account = splitServiceAccountUser(name);
  return {
    needs: [
      may(account ? { resource: "serviceaccounts", ...account } : { resource: "users", name }),
      ...groups.map((group) => may({ resource: "groups", name: group })),
      ...Object.entries(extra).flatMap(([key, values]) =>
        values.map((value) => may({ apiGroup: GROUP, resource: "userextras", subresource: key, name: value })),
      ),
      ...(uid ? [may({ apiGroup: GROUP, resource: "uids", name: uid })] : []),
    ],
    user: {
      name,
      groups: groupsOf(name, groups.length || !account ? groups : serviceAccountGroups(account.namespace)),
      ...(uid && { uid }),
      ...(Object.keys(extra).length && { extra }),
    },
  };
}

function groupsOf(name: string, groups: readonly string[]): string[] {
  if (name === ANONYMOUS.name) return [...new Set([...groups, UNAUTHENTICATED])];
  const said = groups.includes(AUTHENTICATED) || groups.includes(UNAUTHENTICATED);
  return said ? [...groups] : [...groups, AUTHENTICATED];
}

function extraOf(headers: Headers): Readonly<Record<string, readonly string[]>> {
  const found = Object.entries(headers).filter(([name]) => name.startsWith(EXTRA_PREFIX));
  return Object.fromEntries(found.map(([name, values]) => [unescape(name.slice(EXTRA_PREFIX.length)), values ?? []]));
}

/** Header names cannot hold every character of a key. */
function unescape(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
