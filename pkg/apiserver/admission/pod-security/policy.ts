/** Which level of Pod security a namespace asks for by its labels, and what a Pod does against it. */
import type { FieldError } from "../../../api/status.ts";
import { checksOf } from "./checks.ts";
import type { PodShape, Violation } from "./pod-shape.ts";

export type Level = "privileged" | "baseline" | "restricted";

/** `minor` of v1; undefined: latest. */
export interface LevelVersion {
  readonly level: Level;
  readonly minor: number | undefined;
}

export interface SecurityPolicy {
  readonly enforce: LevelVersion;
  readonly audit: LevelVersion;
  readonly warn: LevelVersion;
}

const PREFIX = "pod-security.kubernetes.io/";
const RANK: Readonly<Record<Level, number>> = { privileged: 0, baseline: 1, restricted: 2 };
const PRIVILEGED: LevelVersion = { level: "privileged", minor: undefined };

export function showLevel({ level, minor }: LevelVersion): string {
  return `${level}:${minor === undefined ? "latest" : `v1.${minor}`}`;
}

export function sameLevel(a: LevelVersion, b: LevelVersion): boolean {
  return a.level === b.level && a.minor === b.minor;
}

/** The first is at least as lenient as the second. */
export function isNoStricter(a: LevelVersion, b: LevelVersion): boolean {
  return a.level === "privileged" || (a.minor === b.minor && RANK[a.level] <= RANK[b.level]);
}

type Mode = keyof SecurityPolicy;

/** A label that cannot be read is taken strictly where it enforces, leniently where it only tells. */
export function policyOf(labels: Readonly<Record<string, string>> = {}): {
  readonly policy: SecurityPolicy;
  readonly errors: readonly FieldError[];
} {
  const errors: FieldError[] = [];
  const read = (mode: Mode): LevelVersion => {
    const level = labels[PREFIX + mode];
    const version = labels[`${PREFIX}${mode}-version`];
    return {
      level: level === undefined ? "privileged" : readLevel(mode, level, errors),
      minor: version === undefined ? undefined : readVersion(mode, version, errors),
    };
  };
  const enforce = read("enforce");
  const audit = read("audit");
  const warn = read("warn");
  return { policy: { enforce, audit, warn: warnAtLeast(enforce, warn, labels) }, errors };
}

function readLevel(mode: Mode, value: string, errors: FieldError[]): Level {
  if (value === "privileged" || value === "baseline" || value === "restricted") return value;
  errors.push(bad(mode, value, "must be one of privileged, baseline, restricted"));
  return mode === "enforce" ? "restricted" : "privileged";
}

function readVersion(mode: Mode, value: string, errors: FieldError[]): number | undefined {
  const minor = /^v1\.(\d|[1-9]\d*)$/.exec(value)?.[1];
  if (minor !== undefined) return Number(minor);
  if (value !== "latest") errors.push(bad(`${mode}-version`, value, 'must be "latest" or "v1.x"'));
  return undefined;
}

function bad(label: string, value: string, detail: string): FieldError {
  return { type: "Invalid", field: `metadata.labels[${PREFIX}${label}]`, value, detail };
}

/** Who enforces a level hears of it when writing a workload, not only when its Pods fail. */
function warnAtLeast(
  enforce: LevelVersion,
  warn: LevelVersion,
  labels: Readonly<Record<string, string>>,
): LevelVersion {
  const valid = labels[`${PREFIX}enforce`] === enforce.level;
  if (labels[`${PREFIX}warn`] !== undefined || !valid || RANK[enforce.level] <= RANK[warn.level]) return warn;
  return { level: enforce.level, minor: labels[`${PREFIX}warn-version`] === undefined ? enforce.minor : warn.minor };
}

export function isPrivileged(policy: SecurityPolicy, ...modes: readonly Mode[]): boolean {
  return modes.every((mode) => policy[mode].level === PRIVILEGED.level);
}

export function violations({ level, minor }: LevelVersion, pod: PodShape): readonly Violation[] {
  if (level === "privileged") return [];
  return checksOf(level, minor).flatMap((check) => check(pod) ?? []);
}

/** `privileged (container "a" must not …), hostPort (…)` */
export function describe(found: readonly Violation[]): string {
  return found.map((v) => (v.detail ? `${v.reason} (${v.detail})` : v.reason)).join(", ");
}
