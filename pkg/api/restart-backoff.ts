/**
 * Our own annotations of Pods: how long the pauses between restarts of a container are. Kubernetes has them fixed; a test
 * that crashes on purpose wants them short, a job on a slow link long.
 */
import { own } from "../util/keys.ts";
import type { FieldErrors } from "./validation/field.ts";
import { invalidValue } from "./validation/field.ts";

/** The pause before the second restart; each further one is twice as long. */
export const BACKOFF_BASE = "mini-kube.io/restart-backoff-base";
/** No pause is longer. */
export const BACKOFF_MAX = "mini-kube.io/restart-backoff-max";

/** Kubernetes' own: 10 s doubling to 5 min. */
export const RESTART_BACKOFF = { initialMs: 10_000, maxMs: 300_000 };

const LEAST_MS = 100;
const MOST_MS = 3_600_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

type Annotations = Readonly<Record<string, string>> | undefined;

/** What cannot be read counts as not written: an object from before validation must not keep a Pod from running. */
export function restartBackoff(annotations: Annotations): { readonly initialMs: number; readonly maxMs: number } {
  const base = parseDuration(annotations?.[BACKOFF_BASE] ?? "");
  const max = parseDuration(annotations?.[BACKOFF_MAX] ?? "");
  const initialMs = base ?? Math.min(RESTART_BACKOFF.initialMs, max ?? Infinity);
  return { initialMs, maxMs: max ?? Math.max(RESTART_BACKOFF.maxMs, initialMs) };
}

export function validateRestartBackoff(annotations: Annotations, field: string): FieldErrors {
  const why = `must be a duration between ${LEAST_MS}ms and ${MOST_MS / 3_600_000}h, as 500ms, 10s or 1m30s`;
  const errors = [BACKOFF_BASE, BACKOFF_MAX].flatMap((key) => {
    const text = annotations?.[key];
    if (text === undefined) return [];
    const ms = parseDuration(text);
    return ms !== undefined && ms >= LEAST_MS && ms <= MOST_MS ? [] : [invalidValue(`${field}[${key}]`, text, why)];
  });
  const { initialMs, maxMs } = restartBackoff(annotations);
  if (errors.length > 0 || initialMs <= maxMs) return errors;
  const most = annotations?.[BACKOFF_MAX] ?? "";
  return [invalidValue(`${field}[${BACKOFF_MAX}]`, most, `must not be less than ${BACKOFF_BASE}`)];
}

/** `1m30s`, as Go writes durations; undefined for anything else. */
function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  return parts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (own(UNITS, unit) ?? 0), 0);
}
