/**
 * Text from objects, by templates in the Liquid language. Templates and objects come from users: a template reaches the
 * data it is given and nothing else (no files, no prototypes, no code), and its work is bounded.
 */
import { Liquid, LiquidError, type Template as Parsed } from "liquidjs";
import { labelled } from "./filters.ts";
import { endpointsOf } from "./endpoints.ts";

/** Where in the template, from 1; 0: nowhere in particular. */
export class TemplateError extends Error {
  readonly line: number;
  readonly column: number;
  constructor(message: string, line: number, column: number, cause?: unknown) {
    super(message, { cause });
    this.line = line;
    this.column = column;
  }

  /** `file:3:12: undefined variable: name` */
  at(name: string): string {
    return this.line > 0 ? `${name}:${this.line}:${this.column}: ${this.message}` : `${name}: ${this.message}`;
  }
}

export interface Template {
  /** Throws {@link TemplateError}. The same data give the same text. */
  render(data: Readonly<Record<string, unknown>>): string;
}

const LIMITS = { parseLimit: 1_000_000, renderLimit: 250, memoryLimit: 50_000_000 };

const engine = new Liquid({
  ...LIMITS,
  strictFilters: true,
  // In a configuration file nothing in place of a value is worse than no file.
  strictVariables: true,
  lenientIf: true,
  ownPropertyOnly: true,
  templates: {},
});
engine.registerFilter("endpoints", endpointsOf);
engine.registerFilter("labelled", labelled);

/** Throws {@link TemplateError}. */
export function compileTemplate(text: string): Template {
  const parsed = explained(() => engine.parse(text));
  return { render: (data) => renderOf(parsed, data) };
}

function renderOf(parsed: Parsed[], data: Readonly<Record<string, unknown>>): string {
  return explained(() => engine.renderSync(parsed, data) as string);
}

function explained<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!LiquidError.is(error))
      throw new TemplateError(error instanceof Error ? error.message : String(error), 0, 0, error);
    const { originalError, token } = error as LiquidError & { token?: { getPosition?: () => number[] } };
    const [line = 0, column = 0] = token?.getPosition?.() ?? [];
    const message = (originalError ?? error).message.replace(/, line:\d+, col:\d+$/, "");
    throw new TemplateError(message, line, column, error);
  }
}
