/**
 * Prepares a parsed expression: its loops pay for each step, `matches` becomes the one in linear time (library.ts; the
 * package's own uses JavaScript's patterns, and cannot be replaced under its name), `has` takes any expression, and the
 * names that are used are told.
 */
import { meter } from "./budget.ts";
import { type HasMacro, replaceHas } from "./has.ts";

/** What the library's nodes are inside; its types show only what the source text had, not what macros became. */
interface Node {
  readonly op: string;
  readonly args: unknown;
  readonly meta: { readonly alternate?: unknown; readonly macro?: unknown };
}

interface Loop {
  condition?: (accumulated: unknown) => boolean;
}

/** The name under which library.ts has the safe one. */
export const SAFE_MATCHES = "matchesRe2";

const isNode = (v: object): v is Node => "op" in v && "args" in v && "meta" in v;

export function instrument(ast: unknown, onName: (name: string) => void): void {
  const seen = new Set<object>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (!isNode(value)) {
      for (const part of Object.values(value)) visit(part);
      return;
    }
    if (value.op === "id" && typeof value.args === "string") onName(value.args);
    if (value.op === "rcall" && Array.isArray(value.args) && value.args[0] === "matches") value.args[0] = SAFE_MATCHES;
    if (value.op === "call" && Array.isArray(value.args) && value.args[0] === "has" && value.meta.macro) {
      replaceHas(value.meta.macro as HasMacro);
    }
    if (value.op === "comprehension") meterLoop(value.args as Loop);
    // A macro's arguments stand in what it became.
    if (value.meta.alternate === undefined && value.meta.macro === undefined) visit(value.args);
    visit(value.meta.alternate);
    visit(value.meta.macro);
  };
  visit(ast);
}

/** The condition is asked before each step. */
function meterLoop(loop: Loop): void {
  const { condition } = loop;
  loop.condition = (accumulated) => {
    meter.spend(1);
    return condition ? condition(accumulated) : true;
  };
}
