/** A CronJob's schedule, and the Job it makes. */
import type { DeepReadonly } from "../../util/types.ts";
import type { CronJob, JobTemplateSpec } from "../generated/types.ts";
import { cronSchedule } from "./cron.ts";
import { checked, type FieldErrors, invalidValue, notNegative, notSupported, oneOf, required } from "./field.ts";
import { validateJobSpec } from "./job.ts";

/** A Job is called `NAME-MINUTES`, and its name must fit a label. */
const MAX_NAME = 63 - 11;

export function validateCronJob(next: DeepReadonly<CronJob>, old?: DeepReadonly<CronJob>): FieldErrors {
  const { spec } = next;
  const name = next.metadata.name ?? "";
  return [
    ...validateSchedule(spec.schedule, spec.timeZone, old?.spec.schedule, "spec.schedule"),
    ...notNegative("spec.startingDeadlineSeconds", spec.startingDeadlineSeconds),
    ...(old && old.spec.timeZone === spec.timeZone ? [] : validateTimeZone(spec.timeZone, "spec.timeZone")),
    ...oneOf("spec.concurrencyPolicy", spec.concurrencyPolicy, ["Allow", "Forbid", "Replace"]),
    ...validateJobTemplate(spec.jobTemplate, "spec.jobTemplate"),
    ...notNegative("spec.successfulJobsHistoryLimit", spec.successfulJobsHistoryLimit),
    ...notNegative("spec.failedJobsHistoryLimit", spec.failedJobsHistoryLimit),
    ...(!old && name.length > MAX_NAME
      ? [invalidValue("metadata.name", name, `must be no more than ${MAX_NAME} characters`)]
      : []),
  ];
}

function validateSchedule(
  schedule: string,
  timeZone: string | undefined,
  old: string | undefined,
  field: string,
): FieldErrors {
  if (!schedule) return [required(field)];
  const errors = checked(field, schedule, cronSchedule);
  if (!schedule.includes("TZ")) return errors;
  if (!old?.includes("TZ")) {
    const why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
    return [...errors, invalidValue(field, schedule, why)];
  }
  if (timeZone === undefined) return errors;
  const both = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
  return [...errors, invalidValue(field, schedule, both)];
}

/** One component of an IANA name. */
const ZONE_PART = /^(?!-|\.{1,2}$)[A-Za-z._0-9+-]{1,14}$(?![\s\S])/;

function validateTimeZone(zone: string | undefined, field: string): FieldErrors {
  if (zone === undefined) return [];
  const refuse = (why: string) => [invalidValue(field, zone, why)];
  if (zone === "") return refuse("timeZone must be nil or non-empty string");
  if (zone.toLowerCase() === "local") {
    return refuse("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
  }
  const plausible = zone.split("/").every((part) => ZONE_PART.test(part)) && !/^[+\d]/.test(zone);
  return plausible && isKnownZone(zone) ? [] : refuse(`unknown time zone ${zone}`);
}

/** The tables of the JavaScript engine are those that the schedule will be reckoned with. */
function isKnownZone(timeZone: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone }));
  } catch (e) {
    if (e instanceof RangeError) return false;
    throw e;
  }
}

function validateJobTemplate(t: DeepReadonly<JobTemplateSpec>, field: string): FieldErrors {
  const { selector, manualSelector } = t.spec ?? {};
  return [
    ...validateJobSpec(t.spec ?? {}, `${field}.spec`),
    ...(selector ? [invalidValue(`${field}.spec.selector`, selector, "`selector` will be auto-generated")] : []),
    ...(manualSelector ? [notSupported(`${field}.spec.manualSelector`, manualSelector, ["nil", "false"])] : []),
  ];
}
