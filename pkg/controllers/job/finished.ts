/** Whether, how and when a Job has ended. Pure. */
import type { Job, JobCondition } from "../../api/generated/types.ts";
import { condition } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** `Complete` or `Failed`, once one of them holds. */
export function finalConditionOf(job: DeepReadonly<Job>): DeepReadonly<JobCondition> | undefined {
  const found = ["Complete", "Failed"].map((type) => condition(job.status?.conditions, type));
  return found.find((c) => c?.status === "True");
}

export function isFinished(job: DeepReadonly<Job>): boolean {
  return finalConditionOf(job) !== undefined;
}
