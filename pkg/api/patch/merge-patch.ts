/**
 * JSON Merge Patch (RFC 7396), `application/merge-patch+json`.
 *
 * Ours, because the library for it (json-merge-patch 1.0) drops without a word whatever follows a key `constructor`,
 * which is a legal key of a ConfigMap, and changes its target.
 */
import { define, has } from "../../util/keys.ts";
import { deepClone, deepEqual } from "../equal.ts";
import { badRequest } from "../status.ts";

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Neither argument is changed, and the result shares nothing with them. Null deletes; lists are replaced as a whole. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isObject(patch)) throw badRequest("error decoding patch: a merge patch must be an object");
  return merge(document, patch);
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return deepClone(patch);
  const result: Json = {};
  if (isObject(target)) {
    for (const [k, v] of Object.entries(target)) if (!has(patch, k)) define(result, k, deepClone(v));
  }
  for (const [k, v] of Object.entries(patch)) {
    if (v !== null) define(result, k, merge(isObject(target) && has(target, k) ? target[k] : undefined, v));
  }
  return result;
}

/** The smallest patch that makes `after` of `before`; neither may hold nulls, which no merge patch can write. */
export function createMergePatch(before: Json, after: Json): Json {
  const patch: Json = {};
  for (const k of Object.keys(before)) if (!has(after, k)) define(patch, k, null);
  for (const [k, v] of Object.entries(after)) {
    const old = has(before, k) ? before[k] : undefined;
    if (deepEqual(old, v)) continue;
    define(patch, k, isObject(old) && isObject(v) ? createMergePatch(old, v) : deepClone(v));
  }
  return patch;
}
