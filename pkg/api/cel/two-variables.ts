/**
 * Loops with two variables, over the index and item of a list or the key and value of a map: `all`, `exists`, `existsOne`,
 * `transformList`, `transformMap`. The package has those with one.
 */
import type { Environment } from "@marcbachmann/cel-js";
import { meter } from "./budget.ts";

interface Type {
  readonly kind: string;
  readonly keyType?: Type;
  readonly valueType?: Type;
}

interface Scope {
  forkWithVariable(name: string, type: Type): Scope;
  reuse(parent: Scope): Scope;
  setIterValue(value: unknown, ev: Evaluator): Scope;
}

interface Checker {
  check(node: unknown, scope: Scope): Type;
  getType(name: string): Type;
  createError(code: string, message: string, node: unknown): Error;
}

interface Evaluator {
  run(node: unknown, scope: Scope): unknown;
}

interface Node {
  readonly op: string;
  readonly args: unknown;
}

/** One loop: the package keeps it and hands it back. */
interface Loop {
  readonly receiver: Node;
  readonly args: readonly Node[];
  readonly async: false;
  scopes: { readonly outer: Scope; readonly inner: Scope } | undefined;
  typeCheck(checker: Checker, loop: Loop, scope: Scope): Type;
  evaluate(ev: Evaluator, loop: Loop, scope: Scope): unknown;
}

/** What a loop makes of each round: `part(n)` is the value of its nth expression after the variables. */
type Fold = (rounds: Iterable<Round>) => unknown;
interface Round {
  readonly key: unknown;
  readonly part: (n: number) => unknown;
}

export function registerTwoVariableLoops(env: Environment): void {
  const loop = (signature: string, fold: Fold, returns: string) => {
    const expand = ({ args, receiver }: { args: readonly Node[]; receiver: Node }) =>
      newLoop(args, receiver, fold, returns);
    env.registerFunction(signature, expand as (...args: unknown[]) => unknown);
  };
  loop("list.all(ast, ast, ast): bool", (rounds) => decide(rounds, false), "bool");
  loop("list.exists(ast, ast, ast): bool", (rounds) => decide(rounds, true), "bool");
  loop("list.existsOne(ast, ast, ast): bool", (rounds) => wanted(rounds).length === 1, "bool");
  const list = (at: number) => (rounds: Iterable<Round>) => (at ? wanted(rounds) : [...rounds]).map((r) => r.part(at));
  const map = (at: number) => (rounds: Iterable<Round>) =>
    new Map((at ? wanted(rounds) : [...rounds]).map((r) => [r.key, r.part(at)]));
  loop("list.transformList(ast, ast, ast): list<dyn>", list(0), "list<dyn>");
  loop("list.transformList(ast, ast, ast, ast): list<dyn>", list(1), "list<dyn>");
  loop("list.transformMap(ast, ast, ast): map<dyn, dyn>", map(0), "map<dyn, dyn>");
  loop("list.transformMap(ast, ast, ast, ast): map<dyn, dyn>", map(1), "map<dyn, dyn>");
}

function newLoop(args: readonly Node[], receiver: Node, fold: Fold, returns: string): Loop {
  const [first, second, ...parts] = args;
  return {
    receiver,
    args,
    async: false,
    scopes: undefined,
    typeCheck(checker, self, scope) {
      const [key, value] = elementTypes(checker.check(receiver, scope), checker);
      const outer = scope.forkWithVariable(nameOf(first, checker), key);
      const inner = outer.forkWithVariable(nameOf(second, checker), value);
      self.scopes = { outer, inner };
      for (const part of parts) checker.check(part, inner);
      return checker.getType(returns);
    },
    evaluate(ev, { scopes }, scope) {
      const at = (key: unknown, value: unknown, part: number) => {
        if (!scopes) throw new Error("a loop is checked before it runs");
        const outer = scopes.outer.reuse(scope).setIterValue(key, ev);
        return ev.run(parts[part], scopes.inner.reuse(outer).setIterValue(value, ev));
      };
      return fold(roundsOf(ev.run(receiver, scope), at));
    },
  };
}

function nameOf(node: Node | undefined, checker: Checker): string {
  if (node?.op === "id" && typeof node.args === "string") return node.args;
  throw checker.createError("invalid_macro_argument", "argument must be a simple name", node);
}

function elementTypes(range: Type, checker: Checker): readonly [Type, Type] {
  const dyn = checker.getType("dyn");
  if (range.kind === "list") return [checker.getType("int"), range.valueType ?? dyn];
  return range.kind === "map" ? [range.keyType ?? dyn, range.valueType ?? dyn] : [dyn, dyn];
}

function* roundsOf(range: unknown, at: (key: unknown, value: unknown, part: number) => unknown): Generator<Round> {
  for (const [key, value] of entriesOf(range)) {
    meter.spend(1);
    yield { key, part: (n) => at(key, value, n) };
  }
}

function* entriesOf(range: unknown): Generator<readonly [unknown, unknown]> {
  if (Array.isArray(range)) {
    for (const [i, item] of (range as unknown[]).entries()) yield [BigInt(i), item];
  } else if (range instanceof Map) yield* range;
  else if (typeof range === "object" && range !== null) yield* Object.entries(range);
  else throw new RangeError("expression cannot be range of a comprehension (must be list, map, or dynamic)");
}

const wanted = (rounds: Iterable<Round>) => [...rounds].filter((r) => r.part(0) === true);

/** Whether one round gives `seek`, which then is the answer; a round that fails counts only if none does. */
function decide(rounds: Iterable<Round>, seek: boolean): boolean {
  let failed: { readonly error: unknown } | undefined;
  for (const round of rounds) {
    try {
      if (round.part(0) === seek) return seek;
    } catch (error) {
      failed ??= { error };
    }
  }
  if (failed) throw failed.error;
  return !seek;
}
