/**
 * Expressions of the Common Expression Language: compiled once, evaluated often, with a bound on what they cost.
 * Values of objects come in through values.ts; the functions that Kubernetes adds are in library.ts.
 */
import { Environment, EvaluationError, ParseError, TypeError as CelTypeError } from "@marcbachmann/cel-js";
import { type Budget, meter, withBudget } from "./budget.ts";
import { instrument } from "./instrument.ts";
import { registerLibrary } from "./library.ts";

export type { Environment };

/** The expression is wrong: told to whoever wrote it. */
export class CelCompileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CelCompileError";
  }
}

/** The expression is fine, but has no value for these bindings: `no such key: x`, `division by zero`. */
export class CelEvaluationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CelEvaluationError";
  }
}

export interface Program {
  /** Throws {@link CelEvaluationError}, and BudgetError (budget.ts) when it costs more than is left. */
  evaluate(bindings: Readonly<Record<string, unknown>>, budget: Budget): unknown;
  /** Whether the expression names this variable. */
  uses(variable: string): boolean;
}

/** Names → types: `{ self: "int", params: "dyn" }`. Of objects as JSON, `dyn` is always right. */
export type Variables = Readonly<Record<string, string>>;

let base: Environment | undefined;

/** Kubernetes' functions and no variables; shared, so it is for cloning only. */
function baseEnvironment(): Environment {
  base ??= registerLibrary(new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false }));
  return base;
}

/** To which types and variables can be added. */
export function newEnvironment(from: Environment = baseEnvironment()): Environment {
  return from.clone();
}

export function environmentWith(variables: Variables, from?: Environment): Environment {
  const env = newEnvironment(from);
  for (const [name, type] of Object.entries(variables)) env.registerVariable(name, type);
  return env;
}

/**
 * Throws {@link CelCompileError}, in cel-go's form: what is wrong, where, and the line with a mark under it. An expression
 * of another type than `returns` is refused; one whose type is only known when it runs is not.
 */
export function compileIn(env: Environment, expression: string, returns: "bool" | "string" | "dyn"): Program {
  const names = new Set<string>();
  const run = compiling(expression, () => {
    const parsed = env.parse(expression);
    instrument(parsed.ast, (name) => names.add(name));
    const { valid, type = "dyn", error } = parsed.check();
    if (!valid) throw error ?? new CelCompileError("the expression cannot be checked");
    if (returns !== "dyn" && type !== returns && type !== "dyn" && !type.startsWith("dyn<")) {
      throw new CelCompileError(`cel expression must evaluate to a ${returns}`);
    }
    return parsed;
  });
  return {
    evaluate: (bindings, budget) => withBudget(budget, () => evaluating(() => run(bindings))),
    uses: (variable) => names.has(variable),
  };
}

/** Bindings for these variables are plain JSON or what values.ts made of it. */
export function compile(expression: string, variables: Variables, returns: "bool" | "string" | "dyn" = "dyn"): Program {
  return compileIn(environmentWith(variables), expression, returns);
}

function compiling<T>(expression: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError))
      throw error;
    throw new CelCompileError(`compilation failed: ${located(expression, error.summary, error.range?.start ?? 0)}`);
  }
}

/** ``ERROR: <input>:1:6: what\n | line\n | .....^`` */
function located(expression: string, what: string, at: number): string {
  const before = expression.slice(0, at).split("\n");
  const column = before.at(-1)?.length ?? 0;
  const line = expression.split("\n")[before.length - 1] ?? "";
  return `ERROR: <input>:${before.length}:${column + 1}: ${lowered(what)}\n | ${line}\n | ${".".repeat(column)}^`;
}

function evaluating(work: () => unknown): unknown {
  try {
    const value = work();
    // What ran out inside `a || b` was swallowed there.
    meter.check();
    return value;
  } catch (error) {
    meter.check();
    if (error instanceof EvaluationError) throw new CelEvaluationError(lowered(error.summary));
    // Strings and lists that outgrow the engine, and functions called with what they cannot take.
    if (error instanceof RangeError || error instanceof TypeError) throw new CelEvaluationError(error.message);
    throw error;
  }
}

/** As cel-go writes it: errors begin small, and a value's type is that of the value. */
const lowered = (text: string) => text.charAt(0).toLowerCase() + text.slice(1).replace(/dyn<([^<>]+)>/g, "$1");
