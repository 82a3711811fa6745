/** Answers in the form the client wants, and as few bytes made anew as possible: plain JSON is what the cache holds. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { apiVersionOf } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import type { ApiError, Status } from "../api/status.ts";
import { toYaml } from "../util/yaml.ts";
import type { Entry } from "./entry.ts";
import type { AnswerForm } from "./negotiate.ts";
import { type IncludeObject, partialObject, tableOf } from "./print.ts";
import type { Answer } from "./handler.ts";

/** As Kubernetes: smaller ones are not worth the time. */
const GZIP_FROM_BYTES = 128 * 1024;
const gzipped = promisify(gzip);

export interface View {
  readonly form: AnswerForm;
  readonly include: IncludeObject;
  readonly now: number;
}

export function includeObject(asked: string | undefined): IncludeObject {
  return asked === "None" || asked === "Object" ? asked : "Metadata";
}

/** The body of an answer: the cached bytes where the form allows, else an object to be encoded. */
export function bodyOf(answer: Answer, view: View): Buffer | object {
  switch (answer.type) {
    case "value":
      return answer.value;
    case "object":
      if (isPlain(view.form)) return answer.entry.json;
      return viewObjects(answer.def, [answer.entry], {}, view, false);
    case "list":
      if (isPlain(view.form)) return listJson(answer.def, answer);
      return viewObjects(answer.def, answer.entries, answer.metadata, view, true);
  }
}

const isPlain = (form: AnswerForm) => form.encoding === "json" && form.as === "Object";

function viewObjects(
  def: ResourceDef,
  entries: readonly Entry[],
  metadata: object,
  { form, include, now }: View,
  list: boolean,
): object {
  const objects = entries.map((e) => e.object);
  if (form.as === "Table")
    return tableOf(def, objects, list ? metadata : firstVersion(entries), {
      now,
      include,
      version: form.version,
      columns: true,
    });
  const partial = form.as !== "Object";
  const items = partial ? objects.map((o) => partialObject(o, form.version)) : objects;
  if (!list) return items[0] ?? {};
  const kind = partial ? "PartialObjectMetadataList" : `${def.kind}List`;
  return { kind, apiVersion: partial ? `meta.k8s.io/${form.version}` : apiVersionOf(def), metadata, items };
}

const firstVersion = (entries: readonly Entry[]) => ({ resourceVersion: entries[0]?.revision.toString() ?? "" });

/** A list out of the items' own encodings; they lie one after another, nothing is parsed or made anew. */
function listJson(def: ResourceDef, list: Extract<Answer, { type: "list" }>): Buffer {
  const head = JSON.stringify({ kind: `${def.kind}List`, apiVersion: apiVersionOf(def), metadata: list.metadata });
  const parts: Buffer[] = [Buffer.from(`${head.slice(0, -1)},"items":[`)];
  list.entries.forEach((entry, i) => parts.push(i === 0 ? OPEN : NEXT, entry.item));
  parts.push(Buffer.from("]}\n"));
  return Buffer.concat(parts);
}

const OPEN = Buffer.from("{");
const NEXT = Buffer.from(",{");

export interface Sending {
  readonly code: number;
  readonly form: AnswerForm;
  readonly warnings?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

export async function send(
  req: IncomingMessage,
  res: ServerResponse,
  body: Buffer | object,
  o: Sending,
): Promise<void> {
  const bytes = Buffer.isBuffer(body)
    ? body
    : Buffer.from(o.form.encoding === "yaml" ? toYaml(body) : `${JSON.stringify(body)}\n`);
  const zip = bytes.length >= GZIP_FROM_BYTES && /\bgzip\b/.test(String(req.headers["accept-encoding"] ?? ""));
  const content = zip ? await gzipped(bytes, { level: 1 }) : bytes;
  res.writeHead(o.code, {
    "Content-Type": `application/${o.form.encoding}`,
    "Cache-Control": "no-cache, private",
    "Content-Length": content.length,
    ...(zip && { "Content-Encoding": "gzip", Vary: "Accept-Encoding" }),
    ...(o.warnings?.length && { Warning: o.warnings.map(warningHeader) }),
    ...o.headers,
  });
  res.end(req.method === "HEAD" ? undefined : content);
}

/** A header is bytes: what a client's field is called may be in any script, and goes as UTF-8. */
function warningHeader(text: string): string {
  const quoted = JSON.stringify(text.replaceAll("\u007f", ""));
  return `299 - ${Buffer.from(quoted).toString("latin1")}`;
}

/** An error is always a JSON Status. */
export async function sendError(req: IncomingMessage, res: ServerResponse, error: ApiError): Promise<void> {
  if (res.headersSent) return void res.destroy();
  const retry = error.details?.retryAfterSeconds;
  const headers = retry === undefined ? {} : { "Retry-After": String(retry) };
  const form = { encoding: "json", as: "Object", version: "v1" } as const;
  await send(req, res, error.toStatus() satisfies Status, { code: error.code, form, headers });
}
