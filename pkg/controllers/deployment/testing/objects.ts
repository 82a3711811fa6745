/** Deployments and ReplicaSets for tables of cases: three of `app:2`, one more and one fewer allowed. */
import type { Deployment, DeploymentStatus, ReplicaSet } from "../../../api/generated/types.ts";
import { DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY } from "../annotations.ts";

export const NOW = Date.UTC(2026, 0, 1, 12);
export const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString().replace(".000Z", "Z");

const template = (version: string) => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "app", image: `app:${version}` }] },
});

export interface DeploymentShape {
  readonly replicas?: number;
  readonly version?: string;
  readonly annotations?: Record<string, string>;
  readonly status?: DeploymentStatus;
  readonly spec?: Partial<NonNullable<Deployment["spec"]>>;
}

export function deployment({
  replicas = 3,
  version = "2",
  annotations = {},
  status = {},
  spec = {},
}: DeploymentShape = {}): Deployment {
  return {
    metadata: { name: "web", namespace: "default", uid: "d", generation: 4, annotations },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: template(version),
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
      progressDeadlineSeconds: 600,
      revisionHistoryLimit: 10,
      ...spec,
    },
    status,
  };
}

export interface SetShape {
  readonly replicas?: number;
  readonly available?: number;
  readonly revision?: number;
  readonly desired?: number;
  readonly history?: string;
  readonly terminating?: number;
  /** Its status tells of an older spec. */
  readonly unseen?: boolean;
  readonly failure?: string;
}

export function replicaSet(version: string, s: SetShape = {}): ReplicaSet {
  const { replicas = 0, available = replicas, revision = Number(version), desired = 3 } = s;
  const { metadata, spec } = template(version);
  return {
    metadata: {
      name: `web-${version}`,
      uid: `rs-${version}`,
      generation: 2,
      creationTimestamp: at(1_000 - Number(version)),
      annotations: {
        [REVISION]: String(revision),
        [DESIRED_REPLICAS]: String(desired),
        [MAX_REPLICAS]: String(desired + 1),
        ...(s.history !== undefined && { [REVISION_HISTORY]: s.history }),
      },
    },
    spec: {
      replicas,
      selector: {},
      template: { metadata: { labels: { ...metadata.labels, "pod-template-hash": version } }, spec },
    },
    status: {
      replicas,
      readyReplicas: available,
      availableReplicas: available,
      observedGeneration: s.unseen ? 1 : 2,
      ...(s.terminating && { terminatingReplicas: s.terminating }),
      ...(s.failure && { conditions: [{ type: "ReplicaFailure", status: "True", reason: s.failure, message: "no" }] }),
    },
  };
}
