/** A Pod of one container that sleeps, with whatever a test is about. */
export interface PodParts {
  /** Of the Pod's spec, and of its one container. */
  readonly spec?: object;
  readonly container?: object;
  readonly labels?: object;
}

export const podOf = (name: string, o: PodParts) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: o.labels ?? {} },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "main", image: "busybox:1.36", command: ["sleep", "3600"], ...o.container }],
    ...o.spec,
  },
});
