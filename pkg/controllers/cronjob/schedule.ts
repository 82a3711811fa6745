/**
 * When a CronJob's schedule is due. What a schedule may look like is robfig/cron's grammar, which the API server has
 * checked (validation/cron.ts); croner knows the calendar.
 *
 *  C1  A schedule is due at every instant at which a clock on the wall of its time zone shows a time it names. So in the
 *      night in which clocks go forward what is due in the missing hour is left out, and in the night in which they go
 *      back what is due in the repeated hour comes twice: as in Kubernetes.
 */
import { Cron } from "croner";
import { rfc3339 } from "../../util/clock.ts";
import { own } from "../../util/keys.ts";

export interface Schedule {
  /** The first time after `ms`; undefined: never (31 February). In milliseconds since the epoch. */
  next(ms: number): number | undefined;
  /** The last time after `after`, and at or before `until`. */
  latest(after: number, until: number): number | undefined;
}

/** RFC 3339 as clocks in the zone show it: `2026-01-01T01:00:00+01:00`. */
export function zonedTime(ms: number, timeZone = "UTC"): string {
  const minutes = Math.round(offsetsOf(timeZone)(ms) / 60_000);
  const local = rfc3339(ms + minutes * 60_000);
  if (minutes === 0) return local;
  const two = (n: number) => String(Math.floor(Math.abs(n))).padStart(2, "0");
  return `${local.slice(0, -1)}${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}

const TIME_ZONE = /^(?:CRON_)?TZ=(\S*)\s+/;
const EVERY = "@every ";
const DESCRIPTORS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** Of a schedule that validation lets through. Without a zone the time is UTC. */
export function parseSchedule(text: string, timeZone?: string): Schedule {
  const zone = timeZone ?? TIME_ZONE.exec(text)?.[1] ?? "UTC";
  const spec = text.replace(TIME_ZONE, "").trim();
  if (spec.startsWith(EVERY)) return every(durationMs(spec.slice(EVERY.length)));
  return onCalendar(plainFields(own(DESCRIPTORS, spec) ?? spec), zone);
}

/** Counted from the last time it was due, not from midnight. */
function every(ms: number): Schedule {
  const period = Math.max(Math.floor(ms / 1000), 1) * 1000;
  return {
    next: (at) => Math.floor(at / 1000) * 1000 + period,
    latest(after, until) {
      const start = Math.floor(after / 1000) * 1000;
      const periods = Math.floor((until - start) / period);
      return periods > 0 ? start + periods * period : undefined;
    },
  };
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Of Go's `1h30m`. */
function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)];
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (own(UNITS, unit ?? "") ?? 0), 0);
}

const FIELDS: readonly { readonly min: number; readonly max: number; readonly names?: string }[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: "jan feb mar apr may jun jul aug sep oct nov dec" },
  { min: 0, max: 6, names: "sun mon tue wed thu fri sat" },
];

/** The same in the words that all know: `*`, or numbers. `5/10`, `?` and names mean something else to croner, or nothing. */
function plainFields(spec: string): string {
  const texts = spec.split(/\s+/);
  return FIELDS.map(({ min, max, names }, i) => {
    const known = names?.split(" ") ?? [];
    const numberOf = (word: string) => {
      const named = known.indexOf(word.toLowerCase());
      return named < 0 ? Number(word) : named + min;
    };
    const ranges = (texts[i] ?? "*").split(",").filter(Boolean);
    // A step makes it a list: days of the month and of the week are then both to be heeded.
    if (ranges.some((r) => /^[*?](-.*)?(\/1)?$/.test(r))) return "*";
    const values = ranges.flatMap((range) => {
      const [span = "", step = "1"] = range.split("/");
      const [low = "", high] = span.split("-");
      const all = low === "*" || low === "?";
      const first = all ? min : numberOf(low);
      const last = all || (high === undefined && range.includes("/")) ? max : numberOf(high ?? low);
      return Array.from({ length: Math.floor((last - first) / Number(step)) + 1 }, (_, n) => first + n * Number(step));
    });
    return [...new Set(values)].toSorted((a, b) => a - b).join(",");
  }).join(" ");
}

const WEEK_MS = 7 * 24 * 3_600_000;
/** As far as robfig/cron looks: further on there is nothing. */
const HORIZON_MS = 5 * 366 * 24 * 3_600_000;

/** croner finds the next time on a wall clock, as if there were no zones; which instant that is, the zone tells. See C1. */
function onCalendar(fields: string, timeZone: string): Schedule {
  const calendar = new Cron(fields, { timezone: "UTC", mode: "5-part", paused: true });
  const offset = offsetsOf(timeZone);
  const next = (after: number): number | undefined => {
    for (let from = after; from - after <= HORIZON_MS;) {
      const ahead = offset(from);
      const wall = calendar.nextRun(new Date(from + ahead));
      const found = wall ? wall.getTime() - ahead : Infinity;
      const change = nextChange(offset, from, Math.min(found, after + HORIZON_MS));
      if (change === undefined) return found <= after + HORIZON_MS ? found : undefined;
      // From there on the clock shows another time; the very moment of the change may be due.
      from = change;
      if (isDue(calendar, from + offset(from))) return from;
    }
    return undefined;
  };
  const latest = (after: number, until: number): number | undefined => {
    // Looks back twice as far each time: however long ago `after` is, few times are looked at.
    for (let span = 60_000; ; span *= 2) {
      const start = Math.max(after, until - span);
      let last: number | undefined;
      for (let at = next(start); at !== undefined && at <= until; at = next(at)) last = at;
      if (last !== undefined || start <= after) return last;
    }
  };
  return { next, latest };
}

function isDue(calendar: Cron, wall: number): boolean {
  return calendar.nextRun(new Date(wall - 1_000))?.getTime() === wall;
}

/** The first moment after `from`, and at or before `to`, from which the zone's clocks show another time than before. */
function nextChange(offset: (ms: number) => number, from: number, to: number): number | undefined {
  const before = offset(from);
  // No zone changes there and back within a week.
  for (let low = from; low < to; low += WEEK_MS) {
    let high = Math.min(low + WEEK_MS, to);
    if (offset(high) === before) continue;
    let same = low;
    while (high - same > 1) {
      const middle = Math.floor((same + high) / 2);
      if (offset(middle) === before) same = middle;
      else high = middle;
    }
    return high;
  }
  return undefined;
}

/** How many milliseconds clocks in the zone are ahead of UTC. */
function offsetsOf(timeZone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  if (format.resolvedOptions().timeZone === "UTC") return () => 0;
  return (ms) => {
    const part: Partial<Record<string, number>> = {};
    for (const { type, value } of format.formatToParts(ms)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
  };
}
