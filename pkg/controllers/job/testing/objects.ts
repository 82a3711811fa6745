/** Jobs and Pods as a test writes them down. */
import type { Job, JobSpec, JobStatus, Pod } from "../../../api/generated/types.ts";
import { rfc3339 } from "../../../util/clock.ts";
import { COMPLETION_INDEX, INDEX_FAILURES, TRACKING_FINALIZER } from "../job-pods.ts";

export const NOW = Date.UTC(2026, 0, 1, 12);
export const at = (secondsAgo: number) => rfc3339(NOW - secondsAgo * 1000);

export interface PodShape {
  readonly phase?: string;
  readonly exitCode?: number;
  /** Seconds since it ended. */
  readonly endedAgo?: number;
  readonly index?: number;
  readonly failuresBefore?: number;
  readonly tracked?: boolean;
  readonly deleted?: boolean;
  readonly node?: string;
  readonly restarts?: number;
  readonly conditions?: NonNullable<Pod["status"]>["conditions"];
}

export function pod(uid: string, s: PodShape = {}): Pod {
  const { phase = "Running", tracked = true, node = "n1", endedAgo = 0, exitCode = phase === "Failed" ? 1 : 0 } = s;
  const ended = phase === "Failed" || phase === "Succeeded";
  return {
    metadata: {
      name: `pod-${uid}`,
      namespace: "default",
      uid,
      creationTimestamp: at(1_000),
      ...(tracked && { finalizers: [TRACKING_FINALIZER] }),
      ...(s.deleted && { deletionTimestamp: at(0) }),
      ...(s.index !== undefined && {
        annotations: { [COMPLETION_INDEX]: `${s.index}`, [INDEX_FAILURES]: `${s.failuresBefore ?? 0}` },
      }),
    },
    spec: { containers: [], ...(node && { nodeName: node }) },
    status: {
      phase,
      ...(s.conditions && { conditions: s.conditions }),
      containerStatuses: [
        {
          name: "c",
          image: "i",
          imageID: "",
          ready: false,
          restartCount: s.restarts ?? 0,
          state: ended ? { terminated: { exitCode, finishedAt: at(endedAgo) } } : { running: {} },
        },
      ],
    },
  };
}

export function job(spec: Partial<JobSpec> = {}, status: JobStatus = {}): Job {
  return {
    metadata: { name: "work", namespace: "default", uid: "job-uid" },
    spec: { parallelism: 1, backoffLimit: 6, template: { spec: { containers: [], restartPolicy: "Never" } }, ...spec },
    status: { startTime: at(3_600), ...status },
  };
}
