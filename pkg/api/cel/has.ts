/**
 * `has(e.f)` for any e. The library's own takes only names and fields in it, while CEL allows every expression:
 * `has(self[0].matches)`.
 */
import { Optional } from "@marcbachmann/cel-js";

interface Node {
  readonly op: string;
  readonly args: readonly unknown[];
}

/** The library's type checker and evaluator, as far as a macro meets them. */
interface Checker {
  check(node: unknown, scope: unknown): unknown;
  getType(name: string): unknown;
  createError(code: string, message: string, node: unknown): Error;
}
interface Evaluator {
  run(node: unknown, scope: unknown): unknown;
  debugType(value: unknown): { fieldLazy(value: unknown, field: unknown, node: unknown, ev: unknown): unknown };
}

export interface HasMacro {
  readonly args: readonly Node[];
  typeCheck: (checker: Checker, macro: HasMacro, scope: unknown) => unknown;
  evaluate: (ev: Evaluator, macro: HasMacro, scope: unknown) => unknown;
}

export function replaceHas(macro: HasMacro): void {
  macro.typeCheck = (checker, { args: [access] }, scope) => {
    if (access?.op !== "." && access?.op !== ".?") {
      throw checker.createError("invalid_macro_argument", "has() invalid argument", access);
    }
    // Of the whole, so that a field that cannot be there is an error.
    checker.check(access, scope);
    return checker.getType("bool");
  };
  macro.evaluate = (ev, { args: [access] }, scope) => {
    const owner = ev.run(access?.args[0], scope);
    const value = ev.debugType(owner).fieldLazy(owner, access?.args[1], access, ev);
    return value instanceof Optional ? value.hasValue() : value !== undefined;
  };
}
