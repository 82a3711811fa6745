import type { ContainerConfig, SandboxConfig } from "../runtime.ts";

const PREFIX = "io.mini-kube.";

/** What makes a container ours (R1): written at creation, never changed, and all that a restarted agent has to go by. */
export const label = {
  cluster: `${PREFIX}cluster`,
  node: `${PREFIX}node`,
  kind: `${PREFIX}kind`,
  podUid: `${PREFIX}pod.uid`,
  podName: `${PREFIX}pod.name`,
  podNamespace: `${PREFIX}pod.namespace`,
  podIp: `${PREFIX}pod.ip`,
  container: `${PREFIX}container.name`,
  attempt: `${PREFIX}attempt`,
  specHash: `${PREFIX}spec-hash`,
  image: `${PREFIX}image`,
  tty: `${PREFIX}tty`,
  /** Ids by resource name, as JSON. */
  devices: `${PREFIX}devices`,
} as const;

export type Labels = Readonly<Record<string, string>>;

/** Several clusters, and several nodes of one, may share a daemon. */
export interface Owner {
  readonly clusterId: string;
  /** Empty: whatever node, for who clears away what is left of the cluster. */
  readonly nodeName: string;
}

export function ownerLabels(o: Owner): Labels {
  return { [label.cluster]: o.clusterId, ...(o.nodeName !== "" && { [label.node]: o.nodeName }) };
}

export function sandboxLabels(o: Owner, c: SandboxConfig): Labels {
  return {
    ...ownerLabels(o),
    [label.kind]: "sandbox",
    [label.podUid]: c.uid,
    [label.podName]: c.name,
    [label.podNamespace]: c.namespace,
    ...(c.ip !== undefined && { [label.podIp]: c.ip }),
    [label.attempt]: String(c.attempt),
  };
}

export function containerLabels(o: Owner, c: ContainerConfig): Labels {
  return {
    ...ownerLabels(o),
    [label.kind]: "container",
    [label.podUid]: c.podUid,
    [label.podName]: c.podName,
    [label.podNamespace]: c.podNamespace,
    [label.container]: c.name,
    [label.attempt]: String(c.attempt),
    [label.specHash]: c.specHash,
    [label.image]: c.image,
    [label.tty]: String(c.tty),
    ...(c.devices && { [label.devices]: JSON.stringify(c.devices.allocated) }),
  };
}

/** Of what a Pod has beside its containers, from a container's own. */
export function volumeLabels(of: Labels): Labels {
  const kept = [label.cluster, label.node, label.podUid];
  return { ...Object.fromEntries(kept.map((l) => [l, of[l] ?? ""])), [label.kind]: "volume" };
}

/** For `docker ps`; being unique per attempt, it is also what makes creation idempotent. `POD` is the sandbox's. */
export function containerName(c: {
  container: string;
  pod: string;
  namespace: string;
  uid: string;
  attempt: number;
}): string {
  return ["mk", c.container, c.pod, c.namespace, c.uid, c.attempt].join("_");
}

/** The daemon's `filters` parameter. */
export function filters(labels: Labels, others: Readonly<Record<string, readonly string[]>> = {}): string {
  return JSON.stringify({ label: Object.entries(labels).map(([k, v]) => `${k}=${v}`), ...others });
}
