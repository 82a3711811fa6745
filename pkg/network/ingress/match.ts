/** Which route a request takes. Pure. */
import type { HostRoutes, Route, Table } from "./table.ts";

/** `Example.com.:8443` → `example.com`. Undefined for what names no host. */
export function hostName(header: string | undefined): string | undefined {
  const m = /^(\[[\da-f:.]+\]|[^:/?#\s]+)(?::\d*)?$/i.exec(header ?? "");
  return m?.[1]?.toLowerCase().replace(/\.$/, "");
}

/**
 * The path by which routes are chosen: without query, percent-encoded letters and dot segments, as the server behind it is
 * likely to read it; so no `/public/%2e%2e/admin` passes for a path below `/public`. Undefined where it cannot be read.
 */
export function routingPath(target: string): string | undefined {
  const end = target.search(/[?#]/);
  const raw = end < 0 ? target : target.slice(0, end);
  if (!raw.startsWith("/")) return undefined;
  if (!/%|\/\.|\/\/|\\/.test(raw)) return raw;
  let decoded: string;
  try {
    decoded = decodeURIComponent(raw);
  } catch {
    return undefined;
  }
  if (decoded.includes("\0")) return undefined;
  const segments: string[] = [];
  const parts = decoded.split(/[/\\]+/).slice(1);
  for (const part of parts) {
    if (part === "..") segments.pop();
    else if (part !== "." && part !== "") segments.push(part);
  }
  const last = parts.at(-1) ?? "";
  const slash = segments.length > 0 && (last === "" || last === "." || last === "..");
  return `/${segments.join("/")}${slash ? "/" : ""}`;
}

/**
 * The most specific host that has a route for the path: the host itself, then `*.domain` (one label for the star), then
 * rules without a host. Within a host an exact path comes first, then the longest prefix, element by element.
 */
export function match(table: Table, host: string, path: string): Route | undefined {
  const candidates = hostCandidates(table, host);
  for (const routes of candidates) {
    const route = routes.exact.get(path) ?? longestPrefix(routes.prefixes, path);
    if (route) return route;
  }
  for (const { fallback } of candidates) if (fallback) return fallback;
  return undefined;
}

function hostCandidates(table: Table, host: string): HostRoutes[] {
  const exact = table.exactHosts.get(host);
  const dot = host.indexOf(".");
  const wildcard = dot > 0 ? table.wildcardHosts.get(host.slice(dot + 1)) : undefined;
  return [exact, wildcard, table.anyHost].filter((h) => h !== undefined);
}

/** Costs the path's depth, however many routes there are. */
function longestPrefix(prefixes: ReadonlyMap<string, Route>, path: string): Route | undefined {
  if (prefixes.size === 0) return undefined;
  for (let at = path.length; at >= 0; at = path.lastIndexOf("/", at - 1)) {
    const route = prefixes.get(path.slice(0, at));
    if (route || at === 0) return route;
  }
  return undefined;
}

/** The certificate's Secret for a host; undefined: the host is not served by TLS. */
export function certificateFor(table: Table, host: string): string | undefined {
  const dot = host.indexOf(".");
  const wildcard = dot > 0 ? table.certificates.get(`*${host.slice(dot)}`) : undefined;
  return table.certificates.get(host) ?? wildcard ?? table.certificates.get("");
}
