/**
 * kubectl's JSONPath templates: `{.items[*].metadata.name}{"\n"}`, `{range .items[*]}…{end}`, filters, unions, slices,
 * recursive descent. As in `kubectl get`, what is missing yields nothing instead of an error.
 */
import { has } from "../../util/keys.ts";
import { type Node, type Operand, type Path, PathParser, type Step, TemplateParser } from "./parser.ts";

export interface Template {
  /** The text for one object. */
  render(data: unknown): string;
}

/** Throws JsonPathError saying what is wrong and where. */
export function parseTemplate(text: string): Template {
  const nodes = new TemplateParser(text).parse();
  return { render: (data) => renderAll(nodes, data, data) };
}

/** A bare expression, with or without braces: `.metadata.name`, `{.metadata.name}`, `metadata.name`. Throws JsonPathError. */
export function parsePath(text: string): (data: unknown) => unknown[] {
  const inner = /^\{(.*)\}$/s.exec(text.trim())?.[1] ?? text.trim();
  const scanner = new PathParser(/^[.[$@]/.test(inner) ? inner : `.${inner}`);
  const path = scanner.path();
  scanner.end();
  return (data) => evaluate(path, data, data);
}

function renderAll(nodes: readonly Node[], current: unknown, root: unknown): string {
  return nodes
    .map((node) => {
      if (node.type === "text") return node.text;
      const values = evaluate(node.path, current, root);
      if (node.type === "path") return values.map(valueText).join(" ");
      return values.map((item) => renderAll(node.body, item, root)).join("");
    })
    .join("");
}

/** Strings as they are, the rest as JSON. */
export function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  return value === null || value === undefined ? "" : JSON.stringify(value);
}

function evaluate(path: Path, current: unknown, root: unknown): unknown[] {
  let values: unknown[] = [path.fromRoot ? root : current];
  for (const step of path.steps) {
    // A union takes its first member of all values, then its second: kubectl's order.
    const members = step.type === "union" ? step.of : [step];
    const from = values;
    values = members.flatMap((member) => from.flatMap((v) => take(member, v, root)));
  }
  return values;
}

function take(step: Step, value: unknown, root: unknown): unknown[] {
  switch (step.type) {
    case "field":
      return isObject(value) && has(value, step.name) ? [value[step.name]] : [];
    case "quoted":
      return isObject(value) && has(value, step.name) ? [value[step.name]] : takeKeys(value, step.path);
    case "wildcard":
      return children(value);
    case "descend":
      return descendants(value);
    case "slice":
      return Array.isArray(value) ? slice(value, step) : [];
    case "union":
      return step.of.flatMap((s) => take(s, value, root));
    case "filter":
      return children(value).filter((item) => holds(step, item, root));
  }
}

function takeKeys(value: unknown, keys: readonly string[]): unknown[] {
  let at = value;
  for (const key of keys) {
    if (!isObject(at) || !has(at, key)) return [];
    at = at[key];
  }
  return [at];
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);

function children(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return isObject(value) ? Object.values(value) : [];
}

function descendants(value: unknown): unknown[] {
  return [value, ...children(value).flatMap(descendants)];
}

function slice(list: readonly unknown[], s: Extract<Step, { type: "slice" }>): unknown[] {
  const at = (i: number) => (i < 0 ? list.length + i : i);
  if (s.single) {
    const i = at(s.from ?? 0);
    return i in list ? [list[i]] : [];
  }
  const part = list.slice(s.from, s.to);
  return s.step ? part.filter((_, i) => i % (s.step ?? 1) === 0) : part;
}

function holds(f: Extract<Step, { type: "filter" }>, item: unknown, root: unknown): boolean {
  const values = (o: Operand) => ("path" in o ? evaluate(o.path, item, root) : [o.value]);
  const [left, right] = [values(f.left), f.right ? values(f.right) : []];
  if (!f.operator) return left.length > 0;
  if (left.length === 0 || right.length === 0) return false;
  return compare(left[0], f.operator, right[0]);
}

function compare(a: unknown, operator: string, b: unknown): boolean {
  switch (operator) {
    case "==":
      return a === b;
    case "!=":
      return a !== b;
    default: {
      const order =
        typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : a === b ? 0 : 1;
      if (operator === "<") return order < 0;
      if (operator === "<=") return order <= 0;
      return operator === ">" ? order > 0 : order >= 0;
    }
  }
}
