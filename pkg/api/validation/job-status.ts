/**
 * What may be reported of a Job. Who waits for one relies on it: a Job that has ended has no Pods left, stays ended, and
 * says when it ended if it is complete. A rule about a field holds only for writes that change what it looks at; so a
 * report is not refused for what an earlier one, or a change of the spec, has left behind.
 */
import type { DeepReadonly } from "../../util/types.ts";
import { deepEqual } from "../equal.ts";
import type { Job, JobStatus } from "../generated/types.ts";
import { condition } from "../pod.ts";
import type { FieldError } from "../status.ts";
import { validateCounts } from "./counts.ts";
import { duplicate, type FieldErrors, IMMUTABLE, invalidValue, required } from "./field.ts";
import { countIndexes, firstCommonIndex } from "./job-indexes.ts";

type ReadonlyJob = DeepReadonly<Job>;

/** Everything the rules look at. */
interface State {
  readonly job: ReadonlyJob;
  readonly status: DeepReadonly<JobStatus>;
  readonly complete: boolean;
  readonly failed: boolean;
  readonly finished: boolean;
  readonly failureTarget: boolean;
  readonly successCriteriaMet: boolean;
  readonly suspended: string | undefined;
}

function stateOf(job: ReadonlyJob): State {
  const status = job.status ?? {};
  const says = (type: string) => condition(status.conditions, type)?.status;
  const [complete, failed] = [says("Complete") === "True", says("Failed") === "True"];
  return {
    job,
    status,
    complete,
    failed,
    finished: complete || failed,
    failureTarget: says("FailureTarget") === "True",
    successCriteriaMet: says("SuccessCriteriaMet") === "True",
    suspended: says("Suspended"),
  };
}

interface Rule {
  /** The fields of the state or of the status whose change makes it apply; none: always. */
  readonly when: readonly (keyof State | keyof JobStatus)[];
  readonly check: (next: State, old: State) => FieldError | false | undefined;
}

const about = (field: string, detail: string): FieldError => ({ type: "Invalid", field: `status.${field}`, detail });
const wrong = (field: keyof JobStatus, s: State, detail: string) =>
  invalidValue(`status.${field}`, s.status[field], detail);
const conditions = (detail: string) => about("conditions", detail);

const CONDITION_RULES: readonly Rule[] = [
  {
    when: ["complete", "failed"],
    check: (n) => n.complete && n.failed && conditions("cannot set Complete=True and Failed=true conditions"),
  },
  {
    when: ["complete", "failureTarget"],
    check: (n) =>
      n.complete && n.failureTarget && conditions("cannot set Complete=True and FailureTarget=true conditions"),
  },
  {
    when: ["failed", "failedIndexes"],
    check: (n) =>
      n.failed &&
      !n.failureTarget &&
      conditions("cannot set Failed=True condition without the FailureTarget=true condition"),
  },
  {
    when: ["complete", "successCriteriaMet"],
    check: (n) =>
      n.complete &&
      !n.successCriteriaMet &&
      conditions("cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
  },
  {
    when: [],
    check: (n) =>
      n.successCriteriaMet && n.failed && conditions("cannot set SuccessCriteriaMet=True and Failed=true conditions"),
  },
  {
    when: [],
    check: (n) =>
      n.successCriteriaMet &&
      n.failureTarget &&
      conditions("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
  },
  ...(
    [
      ["failed", "the terminal Failed=True"],
      ["complete", "the terminal Complete=True"],
      ["failureTarget", "the terminal FailureTarget=True"],
      ["successCriteriaMet", "the SuccessCriteriaMet=True"],
    ] as const
  ).map(([key, which]): Rule => ({
    when: [key],
    check: (n, o) => o[key] && !n[key] && conditions(`cannot disable ${which} condition`),
  })),
];

const TIME_RULES: readonly Rule[] = [
  {
    when: ["complete", "completionTime"],
    check: (n) =>
      n.status.completionTime !== undefined &&
      !n.complete &&
      wrong("completionTime", n, "cannot set completionTime when there is no Complete=True condition"),
  },
  {
    when: ["complete", "completionTime"],
    check: (n) =>
      n.complete &&
      n.status.completionTime === undefined &&
      required("status.completionTime", "completionTime is required for Complete jobs"),
  },
  {
    when: ["startTime", "completionTime"],
    check: (n) =>
      Date.parse(n.status.completionTime ?? "") < Date.parse(n.status.startTime ?? "") &&
      wrong("completionTime", n, "must be equal to or after `startTime`"),
  },
  {
    when: ["completionTime"],
    check: (n, o) =>
      n.status.completionTime !== undefined &&
      o.status.completionTime !== undefined &&
      wrong("completionTime", n, IMMUTABLE),
  },
  {
    when: ["startTime"],
    // While it is suspended the clock is set back; its controller may say so a moment after somebody resumed it.
    check: (n, o) =>
      o.status.startTime !== undefined &&
      !n.job.spec?.suspend &&
      !(o.suspended === "True" && n.suspended === "False") &&
      wrong("startTime", n, "field is immutable for unsuspended job once set"),
  },
  {
    when: ["finished", "startTime"],
    check: (n) =>
      n.finished &&
      n.status.startTime === undefined &&
      !(n.job.spec?.suspend && n.job.spec.completions === 0) &&
      required("status.startTime", "startTime is required for finished job"),
  },
];

const COUNT_RULES: readonly Rule[] = [
  {
    when: ["finished", "active"],
    check: (n) =>
      n.finished && (n.status.active ?? 0) > 0 && wrong("active", n, "active>0 is invalid for finished job"),
  },
  {
    when: ["finished", "terminating"],
    check: (n) =>
      n.finished &&
      (n.status.terminating ?? 0) > 0 &&
      wrong("terminating", n, "terminating>0 is invalid for finished job"),
  },
  {
    when: ["ready", "active"],
    check: (n) =>
      n.status.ready !== undefined &&
      n.status.ready > (n.status.active ?? 0) &&
      wrong("ready", n, "cannot set more ready pods than active"),
  },
  {
    when: ["failed"],
    check: (n, o) =>
      (n.status.failed ?? 0) < (o.status.failed ?? 0) && wrong("failed", n, "cannot decrease the failed counter"),
  },
  {
    when: ["succeeded"],
    // An elastic Job forgets the indexes that it was scaled below.
    check: (n, o) =>
      (n.status.succeeded ?? 0) < (o.status.succeeded ?? 0) &&
      !(isIndexed(n) && n.job.spec?.completions === n.job.spec?.parallelism) &&
      wrong("succeeded", n, "cannot decrease the succeeded counter"),
  },
  {
    when: ["finished", "uncountedTerminatedPods"],
    check: (n) =>
      n.finished && uncounted(n).length > 0 && wrong("uncountedTerminatedPods", n, "must be empty for finished job"),
  },
];

const isIndexed = (s: State) => s.job.spec?.completionMode === "Indexed";

const INDEX_RULES: readonly Rule[] = [
  {
    when: ["completedIndexes"],
    check: (n) =>
      !isIndexed(n) &&
      Boolean(n.status.completedIndexes) &&
      wrong("completedIndexes", n, "cannot set non-empty completedIndexes when non-indexed completion mode"),
  },
  {
    when: ["failedIndexes"],
    check: (n) =>
      n.job.spec?.backoffLimitPerIndex === undefined &&
      n.status.failedIndexes !== undefined &&
      wrong("failedIndexes", n, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"),
  },
  ...(["completedIndexes", "failedIndexes"] as const).map((field): Rule => ({
    when: [field],
    check(n) {
      const found = countIndexes(n.status[field] ?? "", n.job.spec?.completions ?? Infinity);
      return typeof found === "string" && wrong(field, n, `error parsing ${field}: ${found}`);
    },
  })),
  {
    when: ["completedIndexes", "failedIndexes"],
    check(n) {
      const { completedIndexes = "", failedIndexes = "" } = n.status;
      const index = firstCommonIndex(completedIndexes, failedIndexes, n.job.spec?.completions ?? Infinity);
      const overlap = `failedIndexes and completedIndexes overlap at index: ${index}`;
      return index !== undefined && wrong("failedIndexes", n, overlap);
    },
  },
];

const RULES = [...CONDITION_RULES, ...TIME_RULES, ...COUNT_RULES, ...INDEX_RULES];

export function validateJobStatus(next: ReadonlyJob, old: ReadonlyJob): FieldErrors {
  const [is, was] = [stateOf(next), stateOf(old)];
  const changed = (key: keyof State | keyof JobStatus) => !deepEqual(valueOf(is, key), valueOf(was, key));
  return [
    ...validateCounts({ counts: ["active", "succeeded", "failed", "ready", "terminating"] }, next.status),
    ...validateUncounted(is),
    ...RULES.filter((r) => r.when.length === 0 || r.when.some(changed)).flatMap((r) => r.check(is, was) || []),
  ];
}

/** `failed` is both a condition and a counter: whichever changes. */
function valueOf(s: State, key: keyof State | keyof JobStatus): unknown {
  const { job: _, status, ...flags } = s;
  return [(flags as Readonly<Record<string, unknown>>)[key], (status as Readonly<Record<string, unknown>>)[key]];
}

function uncounted({ status }: State): readonly { readonly field: string; readonly uid: string }[] {
  return (["succeeded", "failed"] as const).flatMap((list) =>
    (status.uncountedTerminatedPods?.[list] ?? []).map((uid, i) => ({
      field: `status.uncountedTerminatedPods.${list}[${i}]`,
      uid,
    })),
  );
}

function validateUncounted(s: State): FieldErrors {
  const seen = new Set<string>();
  return uncounted(s).flatMap(({ field, uid }) => {
    if (uid === "") return [invalidValue(field, uid, "must not be empty")];
    if (seen.has(uid)) return [duplicate(field, uid)];
    seen.add(uid);
    return [];
  });
}
