/** JSON Patch (RFC 6902), `application/json-patch+json`. */
import jsonpatch, { type JsonPatchError, type Operation } from "fast-json-patch";
import { deepClone } from "../equal.ts";
import { ApiError, badRequest } from "../status.ts";

const MAX_OPERATIONS = 10_000;

/** What is wrong with the patch itself, whatever it is applied to. */
const MALFORMED: ReadonlySet<string> = new Set([
  "SEQUENCE_NOT_AN_ARRAY",
  "OPERATION_NOT_AN_OBJECT",
  "OPERATION_OP_INVALID",
  "OPERATION_PATH_INVALID",
  "OPERATION_FROM_REQUIRED",
  "OPERATION_VALUE_REQUIRED",
  "OPERATION_VALUE_CANNOT_CONTAIN_UNDEFINED",
]);

/**
 * All operations or none. Neither argument is changed, and the result shares nothing with them.
 * Throws BadRequest for what is no patch, Invalid (422) for one that does not fit the document, a failed `test` included.
 */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest("error decoding patch: a JSON patch must be an array of operations");
  if (patch.length > MAX_OPERATIONS) {
    const why = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`;
    throw new ApiError("RequestEntityTooLarge", why);
  }
  try {
    return jsonpatch.applyPatch(deepClone(document), deepClone(patch) as Operation[], true).newDocument;
  } catch (e) {
    if (e instanceof jsonpatch.JsonPatchError) throw explain(e);
    // Its refusal to touch prototypes; nothing else in it throws this.
    if (e instanceof TypeError) throw badRequest(`error decoding patch: ${e.message}`);
    throw e;
  }
}

function explain(e: JsonPatchError): ApiError {
  if (MALFORMED.has(e.name)) {
    return badRequest(`error decoding patch: operation ${e.index ?? 0}: ${firstLine(e.message)}`);
  }
  const why = reason(e);
  return new ApiError("Invalid", `the server rejected our request due to an error in our request: ${why}`, {
    causes: [{ reason: "UnexpectedServerResponse", message: why }],
  });
}

function reason(e: JsonPatchError): string {
  const { op = "", path = "", from = "" } = (e.operation ?? {}) as { op?: string; path?: string; from?: string };
  switch (e.name as string) {
    case "TEST_OPERATION_FAILED":
      return `testing value ${path} failed: test failed`;
    case "OPERATION_PATH_CANNOT_ADD":
      return `add operation does not apply: doc is missing path: "${path}": missing value`;
    case "OPERATION_FROM_UNRESOLVABLE":
      return `${op} operation does not apply: doc is missing from path: ${from}: missing value`;
    case "OPERATION_PATH_UNRESOLVABLE":
      return `${op} operation does not apply: doc is missing key: ${path}: missing value`;
    default:
      return `${op} operation does not apply: ${path}: ${firstLine(e.message)}`;
  }
}

/** The library appends the whole document to its messages. */
function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
