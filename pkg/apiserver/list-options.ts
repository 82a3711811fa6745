/** The query parameters of reads and deletions, checked and parsed. */
import { type ApiError, badRequest, invalid } from "../api/status.ts";
import type { Revision } from "../store/store.ts";

export type Params = Readonly<Record<string, string>>;

export interface ListOptions {
  /** "": the newest; "0": whatever is at hand. */
  readonly resourceVersion: string;
  readonly match: "" | "Exact" | "NotOlderThan";
  /** 0: no limit. */
  readonly limit: number;
  readonly continue: ContinueToken | undefined;
}

/** Where a list goes on: behind this key of the snapshot at this revision. */
export interface ContinueToken {
  readonly revision: Revision;
  /** Without the prefix of the kind or namespace, so that a token gives access to nothing else. */
  readonly after: string;
}

export interface WatchOptions {
  readonly resourceVersion: string;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutMs: number | undefined;
}

export function parseListOptions(p: Params): ListOptions {
  const resourceVersion = parseRevision(p["resourceVersion"]);
  const match = parseMatch(p["resourceVersionMatch"]);
  const token = p["continue"] ?? "";
  if (match && !resourceVersion && p["watch"] === undefined) {
    throw forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
  }
  if (match === "Exact" && resourceVersion === "0") {
    throw forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  if (token && match)
    throw forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
  if (token && resourceVersion && resourceVersion !== "0") {
    throw badRequest("specifying resource version is not allowed when using continue");
  }
  return {
    resourceVersion,
    match,
    limit: parseWhole("limit", p["limit"]) ?? 0,
    continue: token ? decodeToken(token) : undefined,
  };
}

export function parseWatchOptions(p: Params): WatchOptions {
  const sendInitialEvents = p["sendInitialEvents"] === undefined ? undefined : parseBool(p["sendInitialEvents"]);
  const match = parseMatch(p["resourceVersionMatch"]);
  if (sendInitialEvents !== undefined && match !== "NotOlderThan") {
    throw forbidden("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (match && sendInitialEvents === undefined) {
    throw forbidden(
      "resourceVersionMatch",
      "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    );
  }
  const seconds = parseWhole("timeoutSeconds", p["timeoutSeconds"]);
  return {
    resourceVersion: parseRevision(p["resourceVersion"]),
    bookmarks: parseBool(p["allowWatchBookmarks"]),
    sendInitialEvents,
    timeoutMs: seconds ? seconds * 1000 : undefined,
  };
}

/** As Go's ParseBool, with Python's capital letters; anything but a clear no is a yes, as Kubernetes reads queries. */
export function parseBool(text: string | undefined): boolean {
  return text !== undefined && !["0", "f", "false"].includes(text.toLowerCase());
}

export function parseDryRun(values: readonly string[]): boolean {
  const wrong = values.find((v) => v !== "" && v !== "All");
  if (wrong !== undefined) {
    throw invalid({ group: "meta.k8s.io", kind: "CreateOptions" }, "", [
      { type: "NotSupported", field: "dryRun", value: [wrong], detail: 'supported values: "All"' },
    ]);
  }
  return values.includes("All");
}

export function encodeToken(t: ContinueToken): string {
  const json = JSON.stringify({ v: "meta.k8s.io/v1", rv: Number(t.revision), start: t.after });
  return Buffer.from(json).toString("base64url");
}

function decodeToken(text: string): ContinueToken {
  try {
    const t = JSON.parse(Buffer.from(text, "base64url").toString()) as { v?: unknown; rv?: unknown; start?: unknown };
    const { v, rv, start } = t;
    if (v === "meta.k8s.io/v1" && typeof rv === "number" && Number.isInteger(rv) && rv > 0 && typeof start === "string")
      return { revision: BigInt(rv), after: start };
  } catch {
    // Refused below like any other token that we did not make.
  }
  throw badRequest("continue key is not valid");
}

/** "" or a number; throws Invalid. */
export function parseRevision(text = ""): string {
  if (!/^\d*$/.test(text)) {
    throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", [
      { type: "Invalid", field: "resourceVersion", value: text, detail: "must be a number" },
    ]);
  }
  return text;
}

function parseMatch(text = ""): ListOptions["match"] {
  if (text === "" || text === "Exact" || text === "NotOlderThan") return text;
  throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", [
    {
      type: "NotSupported",
      field: "resourceVersionMatch",
      value: text,
      detail: 'supported values: "Exact", "NotOlderThan"',
    },
  ]);
}

/** A number that is not negative. */
export function parseWhole(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const n = Number(text);
  if (Number.isSafeInteger(n) && n >= 0) return n;
  throw badRequest(`unable to parse query parameter ${name}: ${JSON.stringify(text)} is not a whole number`);
}

function forbidden(field: string, detail: string): ApiError {
  return invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", [{ type: "Forbidden", field, detail }]);
}
