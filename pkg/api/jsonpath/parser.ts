/** The syntax of JSONPath templates: text to steps. What the steps find is jsonpath.ts's. */
import { own } from "../../util/keys.ts";

export class JsonPathError extends Error {
  constructor(why: string) {
    super(`error parsing jsonpath: ${why}`);
    this.name = "JsonPathError";
  }
}

export type Step =
  | { readonly type: "field"; readonly name: string }
  /** `['a.b']`: the key of that very name, else (as kubectl has it) the path `.a.b`. */
  | { readonly type: "quoted"; readonly name: string; readonly path: readonly string[] }
  | { readonly type: "wildcard" }
  | { readonly type: "descend" }
  | {
      readonly type: "slice";
      readonly from?: number;
      readonly to?: number;
      readonly step?: number;
      readonly single: boolean;
    }
  | { readonly type: "union"; readonly of: readonly Step[] }
  | { readonly type: "filter"; readonly left: Operand; readonly operator?: string; readonly right?: Operand };

export type Operand = { readonly path: Path } | { readonly value: string | number | boolean | null };

export interface Path {
  /** `$` or a path at the top: from the whole object; `@` or a relative one inside `range`: from the current item. */
  readonly fromRoot: boolean;
  readonly steps: readonly Step[];
}

export type Node =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "path"; readonly path: Path }
  | { readonly type: "range"; readonly path: Path; readonly body: readonly Node[] };

export class TemplateParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Node[] {
    const nodes = this.#until(false);
    return nodes;
  }

  #until(inRange: boolean): Node[] {
    const nodes: Node[] = [];
    while (this.#at < this.#text.length) {
      const open = this.#text.indexOf("{", this.#at);
      const end = open < 0 ? this.#text.length : open;
      if (end > this.#at) nodes.push({ type: "text", text: this.#text.slice(this.#at, end) });
      if (open < 0) {
        this.#at = end;
        break;
      }
      this.#at = closingBrace(this.#text, open) + 1;
      const action = this.#text.slice(open + 1, this.#at - 1).trim();
      if (action === "end") {
        if (!inRange) throw syntaxError("{end} without {range}");
        return nodes;
      }
      nodes.push(...this.#action(action));
    }
    if (inRange) throw syntaxError("{range} without {end}");
    return nodes;
  }

  #action(action: string): Node[] {
    const range = /^range\s+(.*)$/s.exec(action);
    if (range) return [{ type: "range", path: parseWhole(range[1] ?? ""), body: this.#until(true) }];
    const quoted = /^(["'])(.*)\1$/s.exec(action);
    if (quoted) return [{ type: "text", text: unescape(quoted[2] ?? "") }];
    return [{ type: "path", path: parseWhole(action) }];
  }
}

function parseWhole(text: string): Path {
  const parser = new PathParser(text.trim());
  const path = parser.path();
  parser.end();
  return path;
}

/** Braces inside quotes do not count. */
function closingBrace(text: string, open: number): number {
  let quote = "";
  for (let i = open + 1; i < text.length; i++) {
    const c = text[i] ?? "";
    if (c === "\\") i += 1;
    else if (quote) quote = c === quote ? "" : quote;
    else if (c === '"' || c === "'") quote = c;
    else if (c === "}") return i;
  }
  throw syntaxError(`unclosed action: ${text.slice(open)}`);
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
const unescape = (text: string) => text.replace(/\\(.)/gs, (_, c: string) => own(ESCAPES, c) ?? c);
const syntaxError = (why: string) => new JsonPathError(why);

export class PathParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  path(): Path {
    const fromRoot = this.#eat("$");
    if (!fromRoot) this.#eat("@");
    const steps: Step[] = [];
    for (;;) {
      if (this.#eat("..")) {
        steps.push({ type: "descend" });
        if (this.#peek() !== "[") steps.push(this.#name());
      } else if (this.#eat(".")) {
        // A dot alone is the object itself.
        if (this.#peek() !== "" && !/[\s\])=!<>]/.test(this.#peek()) && this.#peek() !== "[") steps.push(this.#name());
      } else if (this.#eat("[")) {
        steps.push(this.#bracket());
      } else if (steps.length === 0 && /[\w*]/.test(this.#peek())) {
        steps.push(this.#name());
      } else {
        return { fromRoot, steps };
      }
    }
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) throw this.#unexpected();
  }

  #name(): Step {
    const match = /^(?:\\.|[^\s.[\](){}=!<>,'"\\])+/.exec(this.#text.slice(this.#at));
    if (!match) throw this.#unexpected();
    this.#at += match[0].length;
    return match[0] === "*" ? { type: "wildcard" } : { type: "field", name: match[0].replace(/\\(.)/g, "$1") };
  }

  #bracket(): Step {
    this.#space();
    if (this.#eat("?(")) return this.#filter();
    const parts: Step[] = [];
    do {
      this.#space();
      parts.push(this.#member());
      this.#space();
    } while (this.#eat(","));
    this.#expect("]");
    const [first] = parts;
    return parts.length === 1 && first ? first : { type: "union", of: parts };
  }

  #member(): Step {
    if (this.#eat("*")) return { type: "wildcard" };
    const quote = this.#peek();
    if (quote === "'" || quote === '"') {
      const raw = this.#quoted();
      const path = raw.match(/(?:\\.|[^.\\])+/g) ?? [];
      return { type: "quoted", name: unescape(raw), path: path.map(unescape) };
    }
    const match = /^(-?\d+)?(:(-?\d+)?)?(:(\d+)?)?/.exec(this.#text.slice(this.#at));
    if (!match?.[0]) throw this.#unexpected();
    this.#at += match[0].length;
    const number = (s: string | undefined) => (s === undefined ? undefined : Number(s));
    const [from, to, step] = [number(match[1]), number(match[3]), number(match[5])];
    return {
      type: "slice",
      single: match[2] === undefined,
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
      ...(step !== undefined && { step }),
    };
  }

  #filter(): Step {
    const left = this.#operand();
    this.#space();
    const operator = /^(==|!=|<=|>=|<|>)/.exec(this.#text.slice(this.#at))?.[0];
    this.#at += operator?.length ?? 0;
    const right = operator ? this.#operand() : undefined;
    this.#space();
    this.#expect(")");
    this.#expect("]");
    return { type: "filter", left, ...(operator && { operator }), ...(right && { right }) };
  }

  #operand(): Operand {
    this.#space();
    const quote = this.#peek();
    if (quote === "'" || quote === '"') return { value: this.#string() };
    const literal = /^(-?\d+(\.\d+)?|true|false|null)(?=[\s)])/.exec(this.#text.slice(this.#at))?.[0];
    if (literal === undefined) return { path: this.path() };
    this.#at += literal.length;
    return { value: JSON.parse(literal) as number | boolean | null };
  }

  #string(): string {
    return unescape(this.#quoted());
  }

  /** Its escapes still in it. */
  #quoted(): string {
    const match = /^(["'])((?:\\.|(?!\1).)*)\1/s.exec(this.#text.slice(this.#at));
    if (!match) throw syntaxError(`unterminated quoted string: ${this.#text.slice(this.#at)}`);
    this.#at += match[0].length;
    return match[2] ?? "";
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #eat(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  #expect(token: string): void {
    if (!this.#eat(token)) throw this.#unexpected();
  }

  #space(): void {
    while (/\s/.test(this.#peek())) this.#at += 1;
  }

  #unexpected(): JsonPathError {
    const rest = this.#text.slice(this.#at);
    return syntaxError(rest ? `unexpected ${JSON.stringify(rest)} in ${this.#text}` : `${this.#text} ends too early`);
  }
}
