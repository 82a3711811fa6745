/** JobQueue: a Job that names a queue, or is born where one is the default, is suspended before it can have a Pod. */
import type { Job } from "../../api/generated/types.ts";
import { QUEUE, queueOf } from "../../api/job-queue.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { isResource } from "./refuse.ts";

export const jobQueue: AdmissionPlugin = {
  name: "JobQueue",
  mutate(r, view) {
    if (r.operation !== "CREATE" || r.subresource !== "" || !isResource(r, "batch", "jobs")) return;
    const job = r.object as Job;
    if (!job.spec) return;
    const common = view.get(namespaces, "", r.namespace)?.metadata.annotations?.[QUEUE];
    if (queueOf(job) === undefined && !common) return;
    if (queueOf(job) === undefined && common) {
      // No label: a Job without any takes over those of its Pods.
      job.metadata.annotations = { ...job.metadata.annotations, [QUEUE]: common };
    }
    job.spec.suspend = true;
  },
};
