import { keep } from "../../equal.ts";
import { humanDuration } from "../../duration.ts";
import type { Job, JobSpec } from "../../generated/types.ts";
import { condition } from "../../pod.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { CONTROLLER_UID_LABELS, JOB_NAME_LABELS, validateJob } from "../../validation/job.ts";
import { validateJobStatus } from "../../validation/job-status.ts";
import { validateJobUpdate } from "../../validation/job-update.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";
import { orNone, selectorText, templateColumns } from "../pod-template.ts";
import { defaultJobSpec } from "./job-defaults.ts";

export const jobs: ResourceDef<Job> = {
  group: "batch",
  version: "v1",
  kind: "Job",
  plural: "jobs",
  singular: "job",
  shortNames: [],
  categories: ["all"],
  namespaced: true,
  schema: "Job",
  // Older than garbage collection: a client that says nothing expects the Pods to stay.
  defaultPropagation: "Orphan",
  setDefaults(o) {
    o.spec ??= { template: {} };
    defaultJobSpec(o.spec);
  },
  prepareForCreate(o) {
    if (o.spec && !o.spec.manualSelector) generateSelector(o, o.spec);
    takeLabels(o);
    o.status = {};
  },
  prepareForUpdate(next, old) {
    takeLabels(next);
    keep(next, old, "status");
  },
  validate: (next, old) => [...validateJob(next), ...(old ? validateJobUpdate(next, old) : [])],
  subresources: { status: statusPart<Job>(validateJobStatus) },
  selectableFields: { "status.successful": (o) => String(o.status?.succeeded ?? 0) },
  columns: [
    NAME,
    { name: "Status", type: "string", description: "Status of the job.", cell: status },
    {
      name: "Completions",
      type: "string",
      description: "How many pods have succeeded, of how many.",
      cell: completions,
    },
    { name: "Duration", type: "string", description: "Time required to complete the job.", cell: duration },
    AGE,
    ...templateColumns<Job>(
      (o) => o.spec?.template,
      (o) => orNone(selectorText(o.spec?.selector)),
    ),
  ],
};

/** The uid makes the selector unique; labels that the author wrote differently are validation's to refuse. */
function generateSelector(o: Job, spec: JobSpec): void {
  const { name = "", uid = "" } = o.metadata;
  const generated = [...JOB_NAME_LABELS.map((k) => [k, name]), ...CONTROLLER_UID_LABELS.map((k) => [k, uid])];
  const template = spec.template;
  template.metadata = {
    ...template.metadata,
    labels: { ...(Object.fromEntries(generated) as Record<string, string>), ...template.metadata?.labels },
  };
  const matchLabels = { [CONTROLLER_UID_LABELS[1]]: uid, ...spec.selector?.matchLabels };
  spec.selector = { ...spec.selector, matchLabels };
}

/** A Job without labels has those of its Pods, the generated ones included. */
function takeLabels(o: Job): void {
  const labels = o.spec?.template.metadata?.labels;
  if (labels && Object.keys(o.metadata.labels ?? {}).length === 0) o.metadata.labels = { ...labels };
}

/** The first that applies, most final first. */
const STATUSES = [
  ["Complete", "Complete"],
  ["Failed", "Failed"],
  ["deleted", "Terminating"],
  ["Suspended", "Suspended"],
  ["FailureTarget", "FailureTarget"],
  ["SuccessCriteriaMet", "SuccessCriteriaMet"],
] as const;

function status(o: DeepReadonly<Job>): string {
  const holds = (type: string) =>
    type === "deleted"
      ? o.metadata.deletionTimestamp !== undefined
      : condition(o.status?.conditions, type)?.status === "True";
  return STATUSES.find(([type]) => holds(type))?.[1] ?? "Running";
}

/** Without a number of completions, one success is enough. */
function completions(o: DeepReadonly<Job>): string {
  const done = o.status?.succeeded ?? 0;
  const { completions: wanted, parallelism = 0 } = o.spec ?? {};
  if (wanted !== undefined) return `${done}/${wanted}`;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
}

function duration(o: DeepReadonly<Job>, now: number): string {
  const { startTime, completionTime } = o.status ?? {};
  if (startTime === undefined) return "";
  return humanDuration((completionTime === undefined ? now : Date.parse(completionTime)) - Date.parse(startTime));
}
