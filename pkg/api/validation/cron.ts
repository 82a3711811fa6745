/**
 * Schedules of CronJobs, in the grammar and the words of robfig/cron's standard parser, which clients know: five fields
 * (`0,30 9-17 * jan-jun mon-fri`, steps as `5/10`), or `@daily` and its like, or `@every 1h30m`.
 */
import type { NameCheck } from "../names.ts";

interface Field {
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}

const FIELDS: readonly Field[] = [
  { min: 0, max: 59, names: [] },
  { min: 0, max: 23, names: [] },
  { min: 1, max: 31, names: [] },
  { min: 1, max: 12, names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] },
  { min: 0, max: 6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

const DESCRIPTORS = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const EVERY = "@every ";
/** Go's time.ParseDuration. */
const DURATION = /^[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$(?![\s\S])/;
const TIME_ZONE = /^(?:CRON_)?TZ=\S*\s+/;

/** Of a schedule that is not empty. */
export const cronSchedule: NameCheck = (schedule) => {
  const spec = schedule.replace(TIME_ZONE, "").trim();
  if (spec.startsWith("@")) return descriptorErrors(spec);
  const texts = spec.split(/\s+/).filter(Boolean);
  if (texts.length !== FIELDS.length) {
    return [`expected exactly ${FIELDS.length} fields, found ${texts.length}: [${texts.join(" ")}]`];
  }
  const errors = FIELDS.flatMap((field, i) => fieldErrors(texts[i] ?? "", field));
  return errors.slice(0, 1);
};

function descriptorErrors(spec: string): readonly string[] {
  if (DESCRIPTORS.includes(spec)) return [];
  if (!spec.startsWith(EVERY)) return [`unrecognized descriptor: ${spec}`];
  const duration = spec.slice(EVERY.length);
  if (DURATION.test(duration)) return [];
  return [`failed to parse duration ${spec}: time: invalid duration ${JSON.stringify(duration)}`];
}

function fieldErrors(text: string, field: Field): readonly string[] {
  return text
    .split(",")
    .filter(Boolean)
    .flatMap((range) => {
      const error = rangeError(range, field);
      return error === undefined ? [] : [error];
    });
}

/** `*`, `?`, `N`, `N-M`, each with `/STEP`; `N/STEP` runs to the end. */
function rangeError(expr: string, field: Field): string | undefined {
  const [range = "", step, ...slashes] = expr.split("/");
  const [low = "", high, ...hyphens] = range.split("-");
  const all = low === "*" || low === "?";
  if (!all && hyphens.length) return `too many hyphens: ${expr}`;
  const start = all ? field.min : numberAt(low, field.names);
  if (typeof start === "string") return start;
  const last = all || (high === undefined && step !== undefined) ? field.max : numberAt(high ?? low, field.names);
  if (typeof last === "string") return last;
  if (slashes.length) return `too many slashes: ${expr}`;
  const every = step === undefined ? 1 : numberAt(step, []);
  if (typeof every === "string") return every;
  if (start < field.min) return `beginning of range (${start}) below minimum (${field.min}): ${expr}`;
  if (last > field.max) return `end of range (${last}) above maximum (${field.max}): ${expr}`;
  if (start > last) return `beginning of range (${start}) beyond end of range (${last}): ${expr}`;
  return every === 0 ? `step of range should be a positive number: ${expr}` : undefined;
}

/** The number, or what is wrong with it. */
function numberAt(text: string, names: readonly string[]): number | string {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return named + (names.length === 12 ? 1 : 0);
  if (!/^[+-]?\d+$/.test(text)) {
    return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
  }
  const n = Number(text);
  return n < 0 ? `negative number (${n}) not allowed: ${text}` : n;
}
