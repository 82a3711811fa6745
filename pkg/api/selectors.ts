/**
 * Label and field selectors: parsed once, then matched many times.
 *
 *  - Label selectors: `app=web,tier in (a,b),!old,replicas>1`, and the LabelSelector objects of specs.
 *  - Field selectors: `status.phase=Running,metadata.name!=x`.
 *
 * What cannot be parsed throws ApiError BadRequest in Kubernetes' words.
 */
import { own } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";
import { labelValue, qualifiedName } from "./names.ts";
import type { ApiObject } from "./object.ts";
import type { ResourceDef } from "./resource.ts";
import { type ApiError, badRequest } from "./status.ts";

export type SelectorOperator = "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";

export interface Requirement {
  readonly key: string;
  readonly operator: SelectorOperator;
  readonly values: readonly string[];
}

/** All must hold; none matches everything. */
export type Selector = readonly Requirement[];

/** `metav1.LabelSelector` */
export interface LabelSelectorObject {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?:
    | readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] | undefined }[]
    | undefined;
}

export const everything: Selector = [];

/** Gt and Lt compare whole numbers, and hold for nothing that is none. */
export function matchesRequirement(r: Requirement, labels: Readonly<Record<string, string>> | undefined): boolean {
  const value = own(labels, r.key);
  switch (r.operator) {
    case "In":
      return value !== undefined && r.values.includes(value);
    case "NotIn":
      return value === undefined || !r.values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt":
      return value !== undefined && compares(value, r.operator, r.values[0] ?? "");
  }
}

const INTEGER = /^[+-]?\d+$/;

function compares(value: string, operator: "Gt" | "Lt", bound: string): boolean {
  if (!INTEGER.test(value) || !INTEGER.test(bound)) return false;
  return operator === "Gt" ? BigInt(value) > BigInt(bound) : BigInt(value) < BigInt(bound);
}

export function matchesLabels(selector: Selector, labels: Readonly<Record<string, string>> | undefined): boolean {
  return selector.every((r) => matchesRequirement(r, labels));
}

/** As upstream: no selector selects nothing, an empty one everything. Hence undefined → undefined. */
export function fromLabelSelector(s: DeepReadonly<LabelSelectorObject> | undefined): Selector | undefined {
  if (!s) return undefined;
  const labels = Object.entries(s.matchLabels ?? {}).map(([key, v]) => requirement(key, "In", [v]));
  const expressions = (s.matchExpressions ?? []).map((e) => {
    if (!isOperator(e.operator)) throw badRequest(`"${e.operator}" is not a valid label selector operator`);
    return requirement(e.key, e.operator, e.values ?? []);
  });
  return [...labels, ...expressions];
}

function isOperator(text: string): text is "In" | "NotIn" | "Exists" | "DoesNotExist" {
  return text === "In" || text === "NotIn" || text === "Exists" || text === "DoesNotExist";
}

function requirement(key: string, operator: SelectorOperator, values: readonly string[]): Requirement {
  return { key, operator, values };
}

/** The string form; parsing it gives the same selector. `<none>` is the printers' word for an empty one, not ours. */
export function formatSelector(selector: Selector): string {
  return selector.map(formatRequirement).join(",");
}

function formatRequirement(r: Requirement): string {
  const values = r.values.join(",");
  switch (r.operator) {
    case "In":
      return r.values.length === 1 ? `${r.key}=${values}` : `${r.key} in (${values})`;
    case "NotIn":
      return r.values.length === 1 ? `${r.key}!=${values}` : `${r.key} notin (${values})`;
    case "Exists":
      return r.key;
    case "DoesNotExist":
      return `!${r.key}`;
    case "Gt":
      return `${r.key}>${values}`;
    case "Lt":
      return `${r.key}<${values}`;
  }
}

export function parseLabelSelector(text: string): Selector {
  return new LabelSelectorParser(text).parse();
}

interface Token {
  readonly type: "word" | "symbol" | "end";
  readonly text: string;
}

/** `key op value` from left to right; `in` and `notin` are words except where an operator must stand. */
class LabelSelectorParser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    const found = text.match(/==|!=|[=!(),<>]|[^\s=!(),<>]+/g) ?? [];
    const words = found.map((t): Token => ({ type: /^[=!(),<>]/.test(t) ? "symbol" : "word", text: t }));
    this.#tokens = [...words, { type: "end", text: "" }];
  }

  parse(): Selector {
    const requirements: Requirement[] = [];
    if (this.#peek().type === "end") return requirements;
    for (;;) {
      const next = this.#peek();
      if (next.type !== "word" && next.text !== "!") {
        throw expected(next, requirements.length ? "identifier after ','" : "!, identifier, or 'end of string'");
      }
      requirements.push(this.#requirement());
      const after = this.#take();
      if (after.type === "end") return requirements;
      if (after.text !== ",") throw expected(after, "',' or 'end of string'");
    }
  }

  #requirement(): Requirement {
    const negated = this.#peek().text === "!" && this.#take() !== undefined;
    const key = this.#take();
    if (key.type !== "word") throw unparsable(expected(key, "identifier"));
    checkKey(key.text);
    if (negated) return requirement(key.text, "DoesNotExist", []);
    const next = this.#peek();
    if (next.type === "end" || next.text === ",") return requirement(key.text, "Exists", []);
    return checkValues(this.#comparison(key.text));
  }

  #comparison(key: string): Requirement {
    const operator = this.#take();
    switch (operator.text) {
      case "=":
      case "==":
        return requirement(key, "In", [this.#value()]);
      case "!=":
        return requirement(key, "NotIn", [this.#value()]);
      case ">":
        return requirement(key, "Gt", [this.#value()]);
      case "<":
        return requirement(key, "Lt", [this.#value()]);
      case "in":
        return requirement(key, "In", this.#values());
      case "notin":
        return requirement(key, "NotIn", this.#values());
      default:
        throw unparsable(expected(operator, "in, notin, =, ==, !=, gt, lt"));
    }
  }

  /** May be empty: `a=`. */
  #value(): string {
    const next = this.#peek();
    if (next.type === "word") return this.#take().text;
    if (next.type === "end" || next.text === ",") return "";
    throw unparsable(expected(next, "identifier"));
  }

  #values(): string[] {
    const open = this.#take();
    if (open.text !== "(") throw unparsable(expected(open, "'('"));
    const values: string[] = [];
    for (;;) {
      values.push(this.#peek().type === "word" ? this.#take().text : "");
      const next = this.#take();
      if (next.text === ")") return [...new Set(values)].sort();
      if (next.text !== ",") throw unparsable(expected(next, "',' or ')'"));
    }
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { type: "end", text: "" };
  }

  #take(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }
}

function expected(found: Token, what: string): ApiError {
  return badRequest(`found '${found.text}', expected: ${what}`);
}

function unparsable(why: ApiError): ApiError {
  return badRequest(`unable to parse requirement: ${why.message}`);
}

function checkKey(key: string): void {
  const errors = qualifiedName(key);
  if (errors.length) throw refused("key", key, errors);
}

function checkValues(r: Requirement): Requirement {
  r.values.forEach((value, i) => {
    if (r.operator === "Gt" || r.operator === "Lt") {
      if (!INTEGER.test(value))
        throw refused(`values[${i}]`, value, ["for 'Gt', 'Lt' operators, the value must be an integer"]);
      return;
    }
    const errors = labelValue(value);
    if (errors.length) throw refused(`values[${i}][${r.key}]`, value, errors);
  });
  return r;
}

function refused(field: string, value: string, errors: readonly string[]): ApiError {
  return badRequest(
    `unable to parse requirement: ${field}: Invalid value: ${JSON.stringify(value)}: ${errors.join("; ")}`,
  );
}

export interface FieldRequirement {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

/** `\` escapes itself, `,` and `=` in values. */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  const terms = text.match(/(?:\\[\s\S]|[^,\\])+/g) ?? [];
  return terms.map((term) => {
    const match = /^((?:\\[\s\S]|[^=!\\])*)(==|!=|=)((?:\\[\s\S]|[^=\\])*)$/.exec(term);
    if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = "", operator, value = ""] = match;
    return { field, equal: operator !== "!=", value: unescape(value, text) };
  });
}

function unescape(value: string, selector: string): string {
  return value.replace(/\\([\s\S])/g, (sequence, c: string) => {
    if (c === "\\" || c === "," || c === "=") return c;
    throw badRequest(`invalid field selector: invalid escape sequence: ${sequence} in '${selector}'`);
  });
}

export type FieldGetters<T extends ApiObject> = Readonly<Record<string, (o: DeepReadonly<T>) => string>>;

/** Resolves every field name now, so that a typo is an error and not an empty list. */
export function compileFieldSelector<T extends ApiObject>(
  selector: readonly FieldRequirement[],
  def: Pick<ResourceDef<T>, "selectableFields" | "namespaced">,
): (o: DeepReadonly<T>) => boolean {
  const tests = selector.map((r) => ({ get: getterOf(r.field, def), equal: r.equal, value: r.value }));
  return (o) => tests.every((t) => (t.get(o) === t.value) === t.equal);
}

function getterOf<T extends ApiObject>(
  field: string,
  def: Pick<ResourceDef<T>, "selectableFields" | "namespaced">,
): (o: DeepReadonly<T>) => string {
  if (field === "metadata.name") return (o) => metadataOf(o).name ?? "";
  if (field === "metadata.namespace") return (o) => metadataOf(o).namespace ?? "";
  const getters: FieldGetters<T> = def.selectableFields;
  const get = own(getters, field);
  if (get) return get;
  throw Object.keys(getters).length
    ? badRequest(`field label not supported: ${field}`)
    : badRequest(`"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`);
}

function metadataOf(o: DeepReadonly<ApiObject>) {
  return o.metadata;
}
