/** Whether two Pod templates mean the same, whoever wrote them down. Pure. */
import type { PodTemplateSpec } from "../../api/generated/types.ts";
import { type Field, type Message, mustMessage } from "../../api/protobuf/table.ts";
import { canonicalQuantity } from "../../api/quantity.ts";
import { define } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { sorted } from "./hash.ts";

/** Tells the Pods of one template from those of another. No part of the template that its owner asks for. */
export const POD_TEMPLATE_HASH = "pod-template-hash";

type Template = DeepReadonly<PodTemplateSpec>;

/** An empty one selects everything, none selects nothing: all other empty structs are as good as absent. */
const PRESENCE_COUNTS: ReadonlySet<string> = new Set(["labelSelector", "namespaceSelector"]);

const known = new WeakMap<object, string>();

/**
 * Equal texts: equal templates. A template comes back from a client in Go's words (`rollout undo` sends one): with
 * `resources: {}`, without `hostNetwork: false`, with `500m` for `0.5`. None of that may start a roll-out.
 */
export function canonicalTemplate(template: Template | undefined): string {
  if (!template) return "";
  let text = known.get(template);
  if (text === undefined) {
    const { [POD_TEMPLATE_HASH]: _, ...labels } = template.metadata?.labels ?? {};
    const meant = { ...template, metadata: { ...template.metadata, labels } };
    text = JSON.stringify(sorted(canonical(meant, mustMessage("core/v1.PodTemplateSpec"))) ?? {});
    known.set(template, text);
  }
  return text;
}

const fieldsByName = new WeakMap<Message, ReadonlyMap<string, Field>>();

/** The fields of the message; those of messages without a name of their own are their parent's. */
function fieldsOf(message: Message): ReadonlyMap<string, Field> {
  let fields = fieldsByName.get(message);
  if (!fields) {
    const flat = [...message.fields.values()].flatMap((f): (readonly [string, Field])[] =>
      f.name === "" && typeof f.type === "object" ? [...fieldsOf(mustMessage(f.type.message))] : [[f.name, f]],
    );
    fieldsByName.set(message, (fields = new Map(flat)));
  }
  return fields;
}

/** The object as Go would write it, less what is empty; undefined when nothing is left. */
function canonical(object: object, message: Message): Record<string, unknown> | undefined {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object)) {
    const field = fieldsOf(message).get(name);
    const meant = field ? canonicalField(value, field) : value;
    if (meant !== undefined && meant !== null) define(kept, name, meant);
  }
  return Object.keys(kept).length > 0 ? kept : undefined;
}

function canonicalField(value: unknown, field: Field): unknown {
  if (value === null || (field.zeroIsAbsent && !value)) return undefined;
  if (field.many === "list" && Array.isArray(value)) {
    return value.length > 0 ? value.map((item) => canonicalValue(item, field) ?? {}) : undefined;
  }
  if (field.many === "map" && typeof value === "object") {
    const entries = Object.entries(value as object).map(([k, v]) => [k, canonicalValue(v, field)]);
    return entries.length > 0 ? Object.fromEntries(entries) : undefined;
  }
  return canonicalValue(value, field) ?? (PRESENCE_COUNTS.has(field.name) ? {} : undefined);
}

function canonicalValue(value: unknown, { type }: Field): unknown {
  if (typeof type !== "object") return value;
  const isScalar = typeof value !== "object" || value === null;
  if (isScalar) return isQuantity(type.message) ? canonicalQuantity(value as string | number) : value;
  return canonical(value, mustMessage(type.message));
}

const isQuantity = (message: string) => message.endsWith("resource.Quantity");
