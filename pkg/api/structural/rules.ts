/** The rules of a schema (`x-kubernetes-validations`): compiled with it, asked of each object. */
import { own } from "../../util/keys.ts";
import { type Budget, BudgetError } from "../cel/budget.ts";
import {
  CelCompileError,
  CelEvaluationError,
  compileIn,
  type Environment,
  newEnvironment,
  type Program,
} from "../cel/cel.ts";
import { asResource, optionalOf, Types } from "../cel/values.ts";
import { deepEqual } from "../equal.ts";
import type { FieldError } from "../status.ts";
import { duplicate, forbidden, invalidValue, required } from "../validation/field.ts";
import { parseFieldPath } from "./field-path.ts";
import { childOf, isObject, mapValues, type Rule, type Schema } from "./schema.ts";
import { correlate } from "./validate.ts";

interface Compiled {
  readonly rule: Rule;
  readonly program: Program;
  readonly message: Program | undefined;
  /** Compares with the value before: asked only where there is one. */
  readonly transition: boolean;
  /** `.spec.x` below the value that the error is about. */
  readonly fieldPath: string;
}

/** Where in a schema rules are; what has none below it is left out. */
interface RuleTree {
  readonly schema: Schema;
  readonly convert: (value: unknown) => unknown;
  readonly rules: readonly Compiled[];
  readonly properties: Readonly<Record<string, RuleTree>>;
  readonly additionalProperties: RuleTree | undefined;
  readonly items: RuleTree | undefined;
}

export interface Rules {
  /** What does not compile, at its place in the schema. */
  readonly errors: readonly FieldError[];
  /** Costs go to `budget`; when it is spent, the rest is not asked, and the value refused. */
  check(value: unknown, old: unknown, budget: Budget): readonly FieldError[];
}

const NO_RULES: Rules = { errors: [], check: () => [] };

/** `path`: of the schema, for errors. */
export function compileRules(schema: Schema, path: string): Rules {
  if (!hasRules(schema)) return NO_RULES;
  const errors: FieldError[] = [];
  const env = newEnvironment();
  const compiler = new Compiler(env, errors);
  const tree = compiler.tree(asResource(schema), path, "Self", undefined);
  return {
    errors,
    check(value, old, budget) {
      if (!tree) return [];
      const found: FieldError[] = [];
      try {
        check(tree, { value, old, path: "" }, budget, found);
      } catch (error) {
        if (!(error instanceof BudgetError)) throw error;
        const why = "validation failed due to running out of cost budget, no further validation rules will be run";
        found.push(invalidValue("", schema.type ?? "", why));
      }
      return found;
    },
  };
}

/** Rules count only where structure is: not within allOf and its like. */
export function hasRules(s: Schema): boolean {
  const more = typeof s.additionalProperties === "object" ? [s.additionalProperties] : [];
  const below = [...Object.values(s.properties ?? {}), ...more, ...(s.items ? [s.items] : [])];
  return (s["x-kubernetes-validations"]?.length ?? 0) > 0 || below.some(hasRules);
}

class Compiler {
  readonly #env: Environment;
  readonly #types: Types;
  readonly #errors: FieldError[];

  constructor(env: Environment, errors: FieldError[]) {
    this.#env = env;
    this.#types = new Types(env);
    this.#errors = errors;
  }

  /** `uncorrelated`: the schema path above which old and new values can no longer be matched. */
  tree(schema: Schema, path: string, name: string, uncorrelated: string | undefined): RuleTree | undefined {
    if (!hasRules(schema)) return undefined;
    const { type, convert } = this.#types.declare(schema, name);
    const { additionalProperties, items } = schema;
    const lost = uncorrelated ?? (schema["x-kubernetes-list-type"] === "map" ? undefined : path);
    const properties = mapValues(schema.properties ?? {}, (child, key) =>
      this.tree(child, `${path}.properties[${key}]`, `${name}.${key.replace(/\W/g, "_")}`, uncorrelated),
    );
    return {
      schema,
      convert,
      rules: this.#rules(schema, path, type, uncorrelated),
      properties: Object.fromEntries(Object.entries(properties).flatMap(([k, tree]) => (tree ? [[k, tree]] : []))),
      additionalProperties:
        typeof additionalProperties === "object"
          ? this.tree(
              additionalProperties,
              `${path}.additionalProperties`,
              `${name}.additionalProperties`,
              uncorrelated,
            )
          : undefined,
      items: items && this.tree(items, `${path}.items`, `${name}.items`, lost),
    };
  }

  #rules(schema: Schema, path: string, type: string, uncorrelated: string | undefined): Compiled[] {
    return (schema["x-kubernetes-validations"] ?? []).flatMap((rule, i) => {
      if (rule.rule.trim() === "") return [];
      const at = `${path}.x-kubernetes-validations[${i}]`;
      const env = this.#env.clone().registerVariable("self", type);
      env.registerVariable("oldSelf", rule.optionalOldSelf ? `optional<${type}>` : type);
      const program = this.#compile(env, rule, "rule", at);
      const message = rule.messageExpression?.trim() ? this.#compile(env, rule, "messageExpression", at) : undefined;
      if (!program) return [];
      const usesOldSelf = program.uses("oldSelf");
      if (usesOldSelf && uncorrelated !== undefined) {
        const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`;
        this.#errors.push(invalidValue(`${at}.rule`, rule.rule, why));
      }
      if (!usesOldSelf && rule.optionalOldSelf !== undefined) {
        const why = "may not be set if oldSelf is not used in rule";
        this.#errors.push(invalidValue(`${at}.optionalOldSelf`, rule.optionalOldSelf, why));
      }
      const fieldPath = rule.fieldPath ? (parseFieldPath(rule.fieldPath, schema).text ?? "") : "";
      return [{ rule, program, message, transition: usesOldSelf, fieldPath }];
    });
  }

  #compile(env: Environment, rule: Rule, which: "rule" | "messageExpression", at: string): Program | undefined {
    try {
      return compileIn(env, rule[which] ?? "", which === "rule" ? "bool" : "string");
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      const why =
        which === "rule"
          ? error.message
          : error.message.replace(/^(cel expression|compilation)/, (what) => own(MESSAGE_ERRORS, what) ?? what);
      this.#errors.push(invalidValue(`${at}.${which}`, rule, why));
      return undefined;
    }
  }
}

const MESSAGE_ERRORS: Readonly<Record<string, string>> = {
  "cel expression": "messageExpression",
  compilation: "messageExpression compilation",
};

interface Place {
  readonly value: unknown;
  /** Undefined where there was none, or none that is known to be this one. */
  readonly old: unknown;
  readonly path: string;
}

function check(tree: RuleTree, place: Place, budget: Budget, found: FieldError[]): void {
  const { value, old, path } = place;
  if (value === null || value === undefined) return;
  if (tree.rules.length > 0) checkRules(tree, place, budget, found);
  if (Array.isArray(value) && tree.items) {
    const previous = correlate(tree.schema, old);
    for (const [i, item] of (value as unknown[]).entries()) {
      check(tree.items, { value: item, old: previous(item), path: `${path}[${i}]` }, budget, found);
    }
  }
  if (!isObject(value)) return;
  for (const [key, item] of Object.entries(value)) {
    const named = own(tree.properties, key);
    const next =
      named ?? (childOf({ properties: tree.schema.properties ?? {} }, key) ? undefined : tree.additionalProperties);
    if (!next) continue;
    const before = isObject(old) ? own(old, key) : undefined;
    const at = named ? (path === "" ? key : `${path}.${key}`) : `${path}[${key}]`;
    check(next, { value: item, old: before, path: at }, budget, found);
  }
}

function checkRules(tree: RuleTree, { value, old, path }: Place, budget: Budget, found: FieldError[]): void {
  const hasOld = old !== undefined && old !== null;
  const unchanged = hasOld && deepEqual(value, old);
  const self = tree.convert(value);
  const oldSelf = hasOld ? tree.convert(old) : undefined;
  const type = tree.schema["x-kubernetes-int-or-string"] ? "" : (tree.schema.type ?? "");
  for (const c of tree.rules) {
    const optional = c.rule.optionalOldSelf === true;
    if (c.transition && !hasOld && !optional) continue;
    // What was there before the rule may stay until it is touched.
    if (unchanged && !c.transition) continue;
    const bindings = { self, ...(optional ? { oldSelf: optionalOf(oldSelf) } : hasOld && { oldSelf }) };
    try {
      if (c.program.evaluate(bindings, budget) === true) continue;
      const at = c.fieldPath === "" ? path : path === "" ? c.fieldPath.slice(1) : path + c.fieldPath;
      const shown = type === "object" || type === "array" ? undefined : value;
      found.push(fieldError(c.rule.reason, at, shown, messageOf(c, bindings, budget)));
    } catch (error) {
      if (!(error instanceof CelEvaluationError)) throw error;
      const overload = error.message.startsWith("no such overload");
      const why = overload
        ? `'${error.message}': call arguments did not match a supported operator, function or macro signature for rule: ${named(c.rule)}`
        : `${error.message} evaluating rule: ${named(c.rule)}`;
      found.push(invalidValue(path, type, why));
    }
  }
}

const named = (rule: Rule) => (rule.message ? rule.message.trim() : rule.rule.trim());

const MAX_MESSAGE = 5 * 1024;

/** A message that cannot be made, or is none, gives way to the one that is written. */
function messageOf(c: Compiled, bindings: Readonly<Record<string, unknown>>, budget: Budget): string {
  const made = c.message && evaluated(c.message, bindings, budget);
  if (typeof made === "string") {
    const text = made.trim();
    if (text !== "" && text.length <= MAX_MESSAGE && !text.includes("\n")) return text;
  }
  return c.rule.message ? c.rule.message.trim() : `failed rule: ${named(c.rule)}`;
}

function evaluated(program: Program, bindings: Readonly<Record<string, unknown>>, budget: Budget): unknown {
  try {
    return program.evaluate(bindings, budget);
  } catch (error) {
    if (error instanceof CelEvaluationError) return undefined;
    throw error;
  }
}

function fieldError(reason: string | undefined, field: string, value: unknown, detail: string): FieldError {
  switch (reason ?? "FieldValueInvalid") {
    case "FieldValueForbidden":
      return forbidden(field, detail);
    case "FieldValueRequired":
      return required(field, detail);
    case "FieldValueDuplicate":
      return { ...duplicate(field, value), detail: "" };
    default:
      return { type: "Invalid", field, value, detail };
  }
}
