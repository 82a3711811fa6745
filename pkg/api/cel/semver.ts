/** `semver("1.2.3").isLessThan(semver("1.10.0"))` */
import type { Environment } from "@marcbachmann/cel-js";
import { define } from "./define.ts";

const SEMVER =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*))*))?(?:\+[\da-zA-Z-]+(?:\.[\da-zA-Z-]+)*)?$/;

class Semver {
  readonly numbers: readonly [bigint, bigint, bigint];
  /** Of a pre-release: `rc.1`. */
  readonly labels: readonly string[];

  constructor(numbers: readonly [bigint, bigint, bigint], labels: readonly string[]) {
    this.numbers = numbers;
    this.labels = labels;
  }

  equals(other: unknown): boolean {
    return other instanceof Semver && compare(this, other) === 0;
  }
}

const TYPE = "kubernetes.Semver";

export function registerSemver(env: Environment): void {
  env.registerType(TYPE, Semver);
  env.registerOperator(`${TYPE} == ${TYPE}`, (a: Semver, b: Semver) => a.equals(b));
  define(env, `semver(string): ${TYPE}`, mustParse);
  define(env, `semver(string, bool): ${TYPE}`, (text: string, loose: boolean) =>
    mustParse(loose ? normalized(text) : text),
  );
  define(env, "isSemver(string): bool", (text: string) => parse(text) !== undefined);
  define(
    env,
    "isSemver(string, bool): bool",
    (text: string, loose: boolean) => parse(loose ? normalized(text) : text) !== undefined,
  );
  for (const [at, name] of (["major", "minor", "patch"] as const).entries()) {
    define(env, `${TYPE}.${name}(): int`, (v: Semver) => v.numbers[at]);
  }
  define(env, `${TYPE}.compareTo(${TYPE}): int`, (a: Semver, b: Semver) => BigInt(compare(a, b)));
  define(env, `${TYPE}.isLessThan(${TYPE}): bool`, (a: Semver, b: Semver) => compare(a, b) < 0);
  define(env, `${TYPE}.isGreaterThan(${TYPE}): bool`, (a: Semver, b: Semver) => compare(a, b) > 0);
}

function parse(text: string): Semver | undefined {
  const match = text.length > 256 ? null : SEMVER.exec(text);
  if (!match) return undefined;
  const [, major = "0", minor = "0", patch = "0", labels] = match;
  return new Semver([BigInt(major), BigInt(minor), BigInt(patch)], labels?.split(".") ?? []);
}

function mustParse(text: string): Semver {
  const version = parse(text);
  if (!version) throw new RangeError(`invalid semantic version ${JSON.stringify(text)}`);
  return version;
}

/** `v1.02` → `1.2.0` */
function normalized(text: string): string {
  const [, numbers = "", rest = ""] = /^v?([\d.]+)(.*)$/s.exec(text) ?? [];
  const parts = numbers.split(".").map((n) => n.replace(/^0+(?=\d)/, ""));
  while (parts.length < 3) parts.push("0");
  return parts.join(".") + rest;
}

function compare(a: Semver, b: Semver): number {
  for (const [i, x] of a.numbers.entries()) {
    const y = b.numbers[i] ?? 0n;
    if (x !== y) return x < y ? -1 : 1;
  }
  // A release comes after its pre-releases.
  if (a.labels.length === 0 || b.labels.length === 0) return Math.sign(b.labels.length - a.labels.length);
  for (const [i, x] of a.labels.entries()) {
    const y = b.labels[i];
    if (y === undefined) return 1;
    if (x !== y) return compareLabels(x, y);
  }
  return a.labels.length < b.labels.length ? -1 : 0;
}

/** Numbers by value and before words. */
function compareLabels(x: string, y: string): number {
  const [m, n] = [/^\d+$/.test(x), /^\d+$/.test(y)];
  if (m !== n) return m ? -1 : 1;
  return (m ? BigInt(x) < BigInt(y) : x < y) ? -1 : 1;
}
