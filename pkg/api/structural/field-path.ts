/** Paths of fields as CRDs write them: `.spec.replicas`, `.spec['a.b']`. */
import { own } from "../../util/keys.ts";
import { childOf, type Schema } from "./schema.ts";

export type FieldPath =
  | {
      /** As errors show it, with its first dot. */
      readonly text: string;
      readonly steps: readonly string[];
      /** What it leads to; undefined below what is not known. */
      readonly schema: Schema | undefined;
      readonly error?: undefined;
    }
  | { readonly error: string; readonly text?: undefined };

const STEP = /^(?:\.([A-Za-z_$][\w$-]*)|\['((?:[^'\\]|\\.)*)'\])/;

/** Every step must lead to a field or key that the schema knows. */
export function parseFieldPath(path: string, schema: Schema): FieldPath {
  const steps: string[] = [];
  let text = "";
  let at: Schema | undefined = schema;
  for (let rest = path.trim(); rest !== "";) {
    const match = STEP.exec(rest);
    if (!match) return { error: `expected [ or . but got: ${rest}` };
    const name = match[1] ?? (match[2] ?? "").replace(/\\(.)/g, "$1");
    rest = rest.slice(match[0].length);
    const known: Schema | undefined = at && (isMeta(steps, name) ? { type: "object" } : childOf(at, name));
    if (at && !known && at["x-kubernetes-preserve-unknown-fields"] !== true) {
      return { error: "does not refer to a valid field" };
    }
    text += own(at?.properties, name) ? `.${name}` : match[1] ? `.${name}` : `[${name}]`;
    steps.push(name);
    at = known;
  }
  return { text, steps, schema: at };
}

const isMeta = (steps: readonly string[], name: string) => steps.length === 0 && name === "metadata";
