import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parseSchedule, zonedTime } from "./schedule.ts";

const DAY = 24 * 3_600_000;
const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16));
const after = (text: string) => Date.parse(`${text}Z`);

function times(schedule: string, from: string, count: number, zone?: string): (string | undefined)[] {
  const s = parseSchedule(schedule, zone);
  const found: (string | undefined)[] = [];
  for (let at: number | undefined = after(from), n = 0; n < count && at !== undefined; n++) {
    at = s.next(at);
    found.push(iso(at));
  }
  return found;
}

describe("a schedule is due", () => {
  test.each<[string, string, string[]]>([
    ["*/15 * * * *", "2026-01-01T00:07:00", ["2026-01-01T00:15", "2026-01-01T00:30"]],
    [
      "5/20 * * * *",
      "2026-01-01T00:00:00",
      ["2026-01-01T00:05", "2026-01-01T00:25", "2026-01-01T00:45", "2026-01-01T01:05"],
    ],
    ["0 9-17/4 ? jan-mar mon-FRI", "2026-01-02T16:00:00", ["2026-01-02T17:00", "2026-01-05T09:00"]],
    ["0 0 13 * 5", "2026-02-01T00:00:00", ["2026-02-06T00:00", "2026-02-13T00:00", "2026-02-20T00:00"]],
    ["0 0 29 2 *", "2026-01-01T00:00:00", ["2028-02-29T00:00"]],
    ["@weekly", "2026-01-01T00:00:00", ["2026-01-04T00:00"]],
    ["@yearly", "2026-01-01T00:00:00", ["2027-01-01T00:00"]],
    ["@every 1h30m", "2026-01-01T00:10:00", ["2026-01-01T01:40", "2026-01-01T03:10"]],
    ["TZ=Asia/Tokyo 0 0 * * *", "2026-01-01T00:00:00", ["2026-01-01T15:00"]],
  ])("%s", (schedule, from, expected) => {
    expect(times(schedule, from, expected.length)).toEqual(expected);
  });

  test("never, on 31 February", () => {
    expect(parseSchedule("0 0 31 2 *").next(after("2026-01-01T00:00:00"))).toBeUndefined();
    expect(parseSchedule("0 0 31 2 *").latest(0, after("2026-01-01T00:00:00"))).toBeUndefined();
  });

  test.each<[string, string, string, string[]]>([
    // Clocks go forward from 2 to 3 on 8 March, and back from 2 to 1 on 1 November.
    ["not in the hour that is left out", "30 2 * * *", "2026-03-07T12:00:00", ["2026-03-09T06:30"]],
    ["as usual around it", "0 3 * * *", "2026-03-07T12:00:00", ["2026-03-08T07:00", "2026-03-09T07:00"]],
    ["every hour that there is", "0 * * * *", "2026-03-08T05:30:00", ["2026-03-08T06:00", "2026-03-08T07:00"]],
    [
      "twice in the hour that comes twice",
      "30 1 * * *",
      "2026-11-01T04:00:00",
      ["2026-11-01T05:30", "2026-11-01T06:30"],
    ],
    ["once after it", "0 2 * * *", "2026-11-01T04:00:00", ["2026-11-01T07:00", "2026-11-02T07:00"]],
    ["at the very moment of the change", "0 1 * * *", "2026-11-01T05:10:00", ["2026-11-01T06:00", "2026-11-02T06:00"]],
  ])("in New York %s", (_, schedule, from, expected) => {
    expect(times(schedule, from, expected.length, "America/New_York")).toEqual(expected);
  });

  test("where clocks change by half an hour, too", () => {
    // Lord Howe Island, back from 2:00 to 1:30 on 5 April.
    expect(times("45 1 * * *", "2026-04-04T12:00:00", 3, "Australia/Lord_Howe")).toEqual([
      "2026-04-04T14:45",
      "2026-04-04T15:15",
      "2026-04-05T15:15",
    ]);
  });

  test.each([
    [undefined, "2026-03-01T12:00:00Z"],
    ["Europe/London", "2026-03-01T12:00:00Z"],
    ["America/St_Johns", "2026-03-01T08:30:00-03:30"],
    ["Asia/Kathmandu", "2026-03-01T17:45:00+05:45"],
  ])("noon is written in %s as %s", (zone, written) => {
    expect(zonedTime(after("2026-03-01T12:00:00"), zone)).toBe(written);
  });

  test("the last time is the last of all, however long one looks back", () => {
    const now = after("2026-06-15T12:34:00");
    expect(iso(parseSchedule("*/10 * * * *").latest(0, now))).toBe("2026-06-15T12:30");
    expect(iso(parseSchedule("0 0 1 1 *").latest(0, now))).toBe("2026-01-01T00:00");
    expect(parseSchedule("0 0 1 1 *").latest(after("2026-01-01T00:00:00"), now)).toBeUndefined();
    expect(iso(parseSchedule("@every 7m").latest(now - 20 * 60_000, now))).toBe("2026-06-15T12:28");
  });

  const zones = fc.constantFrom("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata");
  const list = (min: number, max: number) =>
    fc.oneof(fc.constant(undefined), fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 4 }));

  test("exactly when a clock on the wall shows what it names", () => {
    const starts = fc.constantFrom(
      "2026-03-07T20",
      "2026-03-28T20",
      "2026-04-04T10",
      "2026-10-24T20",
      "2026-10-31T20",
      "2026-12-31T20",
    );
    fc.assert(
      fc.property(list(0, 59), list(0, 23), list(0, 6), zones, starts, (minutes, hours, days, zone, start) => {
        const text = [minutes, hours, undefined, undefined, days].map((l) => l?.join(",") ?? "*").join(" ");
        const from = after(`${start}:00:00`);
        const wall = new Intl.DateTimeFormat("en-US", {
          timeZone: zone,
          hourCycle: "h23",
          weekday: "short",
          hour: "numeric",
          minute: "numeric",
        });
        const due = (ms: number) => {
          const part = Object.fromEntries(wall.formatToParts(ms).map((p) => [p.type, p.value]));
          const day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].indexOf(part["weekday"] ?? "");
          const holds = (l: readonly number[] | undefined, n: number) => l === undefined || l.includes(n);
          return holds(minutes, Number(part["minute"])) && holds(hours, Number(part["hour"])) && holds(days, day);
        };
        let expected = from + 60_000;
        while (expected - from < DAY && !due(expected)) expected += 60_000;
        const found = parseSchedule(text, zone).next(from);
        const soon = found !== undefined && found <= from + DAY;
        expect(soon ? found : "later").toBe(due(expected) ? expected : "later");
      }),
      { numRuns: 60 },
    );
  });
});
