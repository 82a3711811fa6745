/** The functions that Kubernetes has beyond CEL's own: those on strings and sets, and the list of all others. */
import type { Environment } from "@marcbachmann/cel-js";
import { compileRegexp, RegexpError } from "../../util/regexp.ts";
import { meter } from "./budget.ts";
import { define } from "./define.ts";
import { equalValues } from "./equal.ts";
import { formatString } from "./format.ts";
import { SAFE_MATCHES } from "./instrument.ts";
import { registerLists } from "./lists.ts";
import { registerNamedFormats } from "./named-formats.ts";
import { registerNetworkTypes } from "./network.ts";
import { registerQuantity } from "./quantity.ts";
import { registerSemver } from "./semver.ts";
import { registerTwoVariableLoops } from "./two-variables.ts";
import { registerUrl } from "./url.ts";

/** Returns `env`. */
export function registerLibrary(env: Environment): Environment {
  registerStrings(env);
  registerLists(env);
  registerSets(env);
  registerQuantity(env);
  registerUrl(env);
  registerNetworkTypes(env);
  registerSemver(env);
  registerNamedFormats(env);
  registerTwoVariableLoops(env);
  return env;
}

const REGEXP_COST = 100;

/** What reading the text costs; throws RangeError for a pattern that is none. */
function pattern(text: string, source: string) {
  meter.spend(1 + text.length / REGEXP_COST);
  try {
    return compileRegexp(source);
  } catch (error) {
    if (error instanceof RegexpError) throw new RangeError(`invalid regular expression: ${error.message}`);
    throw error;
  }
}

function registerStrings(env: Environment): void {
  const matches = (text: string, source: string) => pattern(text, source).test(text);
  define(env, `string.${SAFE_MATCHES}(string): bool`, matches);
  define(env, "matches(string, string): bool", matches);
  define(env, "string.find(string): string", (s: string, re: string) => pattern(s, re).findAll(s, 1)[0] ?? "");
  define(env, "string.findAll(string): list<string>", (s: string, re: string) =>
    pattern(s, re).findAll(s, s.length + 1),
  );
  define(env, "string.findAll(string, int): list<string>", (s: string, re: string, limit: bigint) =>
    pattern(s, re).findAll(s, limit < 0n ? s.length + 1 : Number(limit)),
  );
  define(env, "string.charAt(int): string", (s: string, at: bigint) => charAt(Array.from(s), Number(at)));
  define(env, "string.replace(string, string): string", (s: string, from: string, to: string) =>
    s.replaceAll(from, () => to),
  );
  define(env, "string.replace(string, string, int): string", replaceSome);
  define(env, "string.reverse(): string", (s: string) => Array.from(s).toReversed().join(""));
  define(env, "string.format(list): string", (s: string, args: readonly unknown[]) => formatString(s, args));
}

function charAt(characters: readonly string[], at: number): string {
  if (at < 0 || at > characters.length) throw new RangeError(`index out of range: ${at}`);
  return characters[at] ?? "";
}

function replaceSome(s: string, from: string, to: string, limit: bigint): string {
  if (limit < 0n) return s.replaceAll(from, () => to);
  const parts = s.split(from);
  const done = Math.min(Number(limit), parts.length - 1);
  const head = parts.slice(0, done + 1).join(to);
  return [head, ...parts.slice(done + 1)].join(from);
}

class SetsNamespace {}

function registerSets(env: Environment): void {
  env.registerType("SetsNamespace", SetsNamespace);
  env.registerConstant("sets", "SetsNamespace", new SetsNamespace());
  type List = readonly unknown[];
  const has = (list: List, value: unknown) => {
    meter.spend(list.length);
    return list.some((item) => equalValues(item, value));
  };
  const contains = (a: List, b: List) => b.every((value) => has(a, value));
  define(env, "SetsNamespace.contains(list, list): bool", (_: unknown, a: List, b: List) => contains(a, b));
  define(
    env,
    "SetsNamespace.equivalent(list, list): bool",
    (_: unknown, a: List, b: List) => contains(a, b) && contains(b, a),
  );
  define(env, "SetsNamespace.intersects(list, list): bool", (_: unknown, a: List, b: List) =>
    a.some((value) => has(b, value)),
  );
}
