/** Where `kubectl apply` notes what it applied, and how it moves from client-side to server-side apply. */
import type { ApiObject } from "../object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { isObject } from "./containers.ts";
import { compare } from "./compare.ts";
import { extract } from "./extract.ts";
import { difference, EMPTY, type FieldSet } from "./field-set.ts";
import type { MergeType } from "./merge-type.ts";
import { contentOf } from "./track.ts";

export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** Only this manager's applies follow the annotation; whoever does not want that applies under another name. */
export const KUBECTL = "kubectl";

/**
 * What client-side apply set and nobody changed since. The same person applies now, only otherwise: taking it over is no
 * conflict, whoever's name stands on it.
 */
export function fieldsOfLastApplied(type: MergeType, live: DeepReadonly<ApiObject>, apiVersion: string): FieldSet {
  const last = parse(live.metadata.annotations?.[LAST_APPLIED]);
  if (last?.["apiVersion"] !== apiVersion) return EMPTY;
  const before = contentOf({ ...last, metadata: isObject(last["metadata"]) ? last["metadata"] : {} });
  const { added, modified, removed } = compare(type, before, contentOf(live));
  return [added, modified, removed].reduce(difference, extract(type, before).fields);
}

function parse(text: string | undefined): Record<string, unknown> | undefined {
  if (!text) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** As kubectl writes it: keys in order, without the annotation itself, a newline at the end. */
export function lastAppliedText(applied: Readonly<Record<string, unknown>>): string {
  const { metadata } = applied;
  const { annotations, ...meta } = isObject(metadata) ? metadata : {};
  const { [LAST_APPLIED]: _, ...rest } = isObject(annotations) ? annotations : {};
  return `${JSON.stringify({ ...applied, metadata: { ...meta, annotations: rest } }, inOrder)}\n`;
}

function inOrder(_key: string, value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
