/**
 * Regular expressions of users: Go's syntax (RE2), and linear time whatever the pattern and the input, so that nobody can
 * stall the server with one. Patterns are compiled once.
 */
import { RE2JS, RE2JSException } from "re2js";

export class RegexpError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "RegexpError";
  }
}

export interface Regexp {
  /** Whether it matches anywhere in the text. */
  test(text: string): boolean;
  /** The first matches, from left to right; at most `limit`. */
  findAll(text: string, limit: number): readonly string[];
}

const KEPT = 1_000;
const compiled = new Map<string, Regexp>();

/** Throws {@link RegexpError}. */
export function compileRegexp(pattern: string): Regexp {
  const known = compiled.get(pattern);
  if (known) return known;
  const made = make(pattern);
  // Patterns come from outside: those of gone schemas must not stay for ever.
  if (compiled.size >= KEPT) compiled.clear();
  compiled.set(pattern, made);
  return made;
}

function make(pattern: string): Regexp {
  try {
    const re = RE2JS.compile(pattern);
    return { test: (text) => re.test(text), findAll: (text, limit) => findAll(re, text, limit) };
  } catch (error) {
    if (error instanceof RE2JSException) throw new RegexpError(error.message);
    throw error;
  }
}

function findAll(re: RE2JS, text: string, limit: number): string[] {
  const found: string[] = [];
  const matcher = re.matcher(text);
  while (found.length < limit && matcher.find()) found.push(matcher.group() ?? "");
  return found;
}
