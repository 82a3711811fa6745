/** From method, path and query to the {@link Call} they mean. Pure; the grammar is the same for all kinds. */
import { ApiError, badRequest } from "../api/status.ts";
import type { Call, PatchType, Verb } from "../client/transport.ts";

/** `as=Table` and the like belong to the answer, not to the call. */
export interface ParsedRequest {
  readonly call: Call;
  /** Of an exec: a query may name a parameter more than once. */
  readonly query: URLSearchParams;
  /** Of a proxy: the path below it as it came, which is none of ours to read. Empty: not even a slash. */
  readonly rest?: string;
}

/** The host is the client's claim and means nothing here. */
export function urlOf(req: { readonly url?: string | undefined }): URL {
  return new URL(`https://server${(req.url ?? "/").replace(/^\/+/, "/")}`);
}

const PATCH_TYPES: readonly PatchType[] = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
];

/**
 *   /api/v1[/watch][/namespaces/NS]/RESOURCE[/NAME[/SUBRESOURCE…]]
 *   /apis/GROUP/VERSION…
 *
 * Undefined when the path is none of an object. `namespaces/NS` itself, and its subresources, are objects too.
 */
export function parsePath(pathname: string): (Omit<Call, "verb"> & { watch: boolean; rest?: string }) | undefined {
  const raw = pathname.split("/").slice(1);
  const words = raw.map(decodeSegment);
  if (words.at(-1) === "") words.pop();
  const [root, ...rest] = words;
  const group = root === "apis" ? rest.shift() : root === "api" ? "" : undefined;
  const version = rest.shift();
  if (group === undefined || !version || rest.length === 0) return undefined;
  const watch = rest[0] === "watch" && rest.length > 1;
  if (watch) rest.shift();
  let namespace: string | undefined;
  if (rest[0] === "namespaces" && rest.length > 2 && !NAMESPACE_PARTS.has(rest[2] ?? "")) {
    namespace = rest[1];
    rest.splice(0, 2);
  }
  const [resource = "", name, ...sub] = rest;
  return {
    group,
    version,
    resource,
    watch,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(sub[0] === PROXY
      ? { subresource: PROXY, rest: below(raw.slice(words.length - sub.length + 1)) }
      : sub.length > 0 && { subresource: sub.join("/") }),
  };
}

const PROXY = "proxy";
const below = (segments: readonly string[]) => segments.map((s) => `/${s}`).join("");

const NAMESPACE_PARTS = new Set(["status", "finalize"]);

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`the path has a malformed escape: ${segment}`);
  }
}

const isTrue = (value: string | null) => value !== null && /^(1|true|t)$/i.test(value);

/** Undefined when the path is none of an object; throws MethodNotAllowed. */
export function parseRequest(method: string, url: URL, contentType: string | undefined): ParsedRequest | undefined {
  const path = parsePath(url.pathname);
  if (!path) return undefined;
  const { watch, rest, ...address } = path;
  const query = url.searchParams;
  const params: Record<string, string> = {};
  for (const [name, value] of query) params[name] ??= value;
  const verb = verbOf(method, address, watch || isTrue(query.get("watch")));
  const call = { verb, ...address, params };
  if (rest !== undefined) return { call, query, rest };
  return { call: verb === "patch" ? { ...call, patchType: patchType(contentType) } : call, query };
}

function verbOf(method: string, address: Pick<Call, "name" | "subresource">, watch: boolean): Verb {
  const named = address.name !== undefined;
  switch (method) {
    case "OPTIONS":
      if (address.subresource !== PROXY) break;
      return "get";
    case "GET":
    case "HEAD":
      if (watch && address.subresource === undefined) return "watch";
      return named ? "get" : "list";
    case "POST":
      // An object has its own address only after it was created; what lies below it can be posted to.
      if (!named || address.subresource !== undefined) return "create";
      break;
    case "PUT":
      if (named) return "update";
      break;
    case "PATCH":
      if (named) return "patch";
      break;
    case "DELETE":
      return named ? "delete" : "deletecollection";
  }
  throw new ApiError("MethodNotAllowed", "the server does not allow this method on the requested resource");
}

function patchType(contentType = ""): PatchType {
  const type = contentType.split(";")[0]?.trim().toLowerCase();
  const found = PATCH_TYPES.find((t) => t === type);
  if (found) return found;
  const why = `the body of the request was in an unknown format (${type})`;
  const accepted = PATCH_TYPES.join(", ");
  throw new ApiError("UnsupportedMediaType", `${why} - accepted media types include: ${accepted}`);
}
