import { keep } from "../../equal.ts";
import { humanAge } from "../../duration.ts";
import type { CronJob, CronJobSpec } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { validateCronJob } from "../../validation/cronjob.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";
import { defaultPodTemplate, orNone, selectorText, templateColumns } from "../pod-template.ts";
import { defaultFailurePolicy } from "./job-defaults.ts";

export const cronJobs: ResourceDef<CronJob> = {
  group: "batch",
  version: "v1",
  kind: "CronJob",
  plural: "cronjobs",
  singular: "cronjob",
  shortNames: ["cj"],
  categories: ["all"],
  namespaced: true,
  schema: "CronJob",
  setDefaults,
  prepareForCreate(o) {
    o.status = {};
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: validateCronJob,
  subresources: { status: statusPart() },
  selectableFields: {},
  columns: [
    NAME,
    { name: "Schedule", type: "string", description: "The schedule in Cron format.", cell: (o) => o.spec.schedule },
    {
      name: "Timezone",
      type: "string",
      description: "The time zone of the schedule.",
      cell: (o) => o.spec.timeZone ?? "<none>",
    },
    { name: "Suspend", type: "boolean", description: "Whether it starts no new jobs.", cell: suspended },
    {
      name: "Active",
      type: "integer",
      description: "How many of its jobs run.",
      cell: (o) => o.status?.active?.length ?? 0,
    },
    {
      name: "Last Schedule",
      type: "string",
      description: "When it last started a job.",
      cell: (o, now) => (o.status?.lastScheduleTime ? humanAge(o.status.lastScheduleTime, now) : "<none>"),
    },
    AGE,
    ...templateColumns<CronJob>(
      (o) => o.spec.jobTemplate.spec?.template,
      (o) => orNone(selectorText(o.spec.jobTemplate.spec?.selector)),
    ),
  ],
};

/** The Job in it gets its own defaults when it is made. */
function setDefaults(o: CronJob): void {
  const spec = (o.spec ??= {} as CronJobSpec);
  const job = ((spec.jobTemplate ??= {}).spec ??= { template: {} });
  defaultPodTemplate((job.template ??= {}));
  defaultFailurePolicy(job);
  spec.concurrencyPolicy ||= "Allow";
  spec.suspend ??= false;
  spec.successfulJobsHistoryLimit ??= 3;
  spec.failedJobsHistoryLimit ??= 1;
  spec.schedule ??= "";
}

function suspended(o: DeepReadonly<CronJob>): string {
  return o.spec.suspend === undefined ? "<unset>" : o.spec.suspend ? "True" : "False";
}
