/**
 * What a client sends, whatever its form, as one value: JSON, YAML, or Kubernetes' protobuf in its JSON form. So nothing
 * behind this file knows forms.
 *
 *  B1  A body is at most 3 MiB, and what is made of it is bounded too: depth, and what YAML's aliases multiply.
 *  B2  What cannot be read is refused with a 4xx Status that says why.
 */
import type { IncomingMessage } from "node:http";
import { duplicateFields } from "../api/duplicate-fields.ts";
import { decodeProtobuf } from "../api/protobuf/decode.ts";
import { ApiError, badRequest } from "../api/status.ts";
import type { Call } from "../client/transport.ts";
import { parseYamlDocuments } from "../util/yaml.ts";
import { type BodyEncoding, bodyEncoding } from "./negotiate.ts";

/** As Kubernetes' own limit. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** No object is that deep, and all that walks through one does so by recursion. */
const MAX_DEPTH = 1000;
const ALIASED_VALUES = 100_000;

/** The call with its body read. Rejects with ApiError. */
export async function withBody(req: IncomingMessage, call: Call): Promise<Call> {
  if (call.verb === "get" || call.verb === "list" || call.verb === "watch") return call;
  const bytes = await readBody(req);
  if (call.verb !== "patch" && bytes.length === 0) return call;
  const encoding = call.verb === "patch" ? patchEncoding(call) : bodyEncoding(req.headers["content-type"]);
  const body = parseBody(bytes, encoding);
  const duplicates = encoding === "json" && isValidated(call) ? duplicateFields(utf8.decode(bytes)) : [];
  return { ...call, body, ...(duplicates.length > 0 && { duplicates }) };
}

const isValidated = (call: Call) => call.params?.["fieldValidation"] !== "Ignore";

/** An apply is YAML, of which JSON is a part; every other patch is JSON. */
const patchEncoding = (call: Call) => (call.patchType === "application/apply-patch+yaml" ? "yaml" : "json");

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const { chunks, size } = await received(req);
  if (size > MAX_BODY_BYTES) {
    throw new ApiError("RequestEntityTooLarge", `Request entity too large: limit is ${MAX_BODY_BYTES}`);
  }
  const packed = req.headers["content-encoding"];
  if (packed !== undefined && packed !== "identity") {
    throw new ApiError("UnsupportedMediaType", `the body of the request is packed (${packed}), which is not accepted`);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

/** By events: an async iterator of the request costs more than all that is done with most bodies. */
function received(req: IncomingMessage): Promise<{ chunks: Buffer[]; size: number }> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const gone = () => reject(badRequest("the request broke off"));
    if (req.destroyed) return gone();
    req.on("data", (chunk: Buffer) => {
      size += chunk.length;
      // The rest is read and thrown away: a client that is still sending would not see the answer otherwise.
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    req.once("end", () => {
      // Every request closes in the end: an error made for one that is whole would cost more than reading it.
      req.off("close", gone);
      resolve({ chunks, size });
    });
    req.once("error", gone).once("close", gone);
  });
}

/** Throws BadRequest. */
export function parseBody(bytes: Uint8Array, encoding: BodyEncoding): unknown {
  const value = encoding === "protobuf" ? decodeProtobuf(bytes) : parseText(decodeText(bytes, encoding), encoding);
  checkSize(value, { encoding, limit: bytes.length + ALIASED_VALUES });
  return value;
}

function parseText(text: string, encoding: "json" | "yaml"): unknown {
  try {
    return encoding === "json" ? JSON.parse(text) : parseYamlDocuments(text, "the body")[0]?.value;
  } catch (error) {
    throw unrecognized(encoding, error instanceof RangeError ? TOO_DEEP : String((error as Error).message));
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decodeText(bytes: Uint8Array, encoding: BodyEncoding): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw unrecognized(encoding, "invalid UTF-8");
  }
}

const TOO_DEEP = `nested more than ${MAX_DEPTH} levels deep`;

/** A few aliases of aliases are millions of values. Other bodies have fewer values than bytes. */
function checkSize(value: unknown, { encoding, limit }: { encoding: BodyEncoding; limit: number }): void {
  let left = limit;
  const visit = (v: unknown, depth: number): void => {
    if (--left < 0) throw unrecognized(encoding, "document contains excessive aliasing");
    if (typeof v !== "object" || v === null) return;
    if (depth === MAX_DEPTH) throw unrecognized(encoding, TOO_DEEP);
    for (const item of Object.values(v)) visit(item, depth + 1);
  };
  visit(value, 0);
}

function unrecognized(encoding: BodyEncoding, why: string): ApiError {
  return badRequest(`the object provided is unrecognized (must be valid ${encoding.toUpperCase()}): ${why}`);
}
