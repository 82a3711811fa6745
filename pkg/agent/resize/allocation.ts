/** What the node has granted a Pod: what its spec said when it was admitted, or last resized. Pure. */
import { semanticEqual } from "../../api/equal.ts";
import type { ResourceRequirements } from "../../api/generated/types.ts";
import { podRequests } from "../../api/pod.ts";
import { resourceTotals } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { type Container, containersOf, initContainersOf, type Pod } from "../facts.ts";

export type Resources = DeepReadonly<ResourceRequirements>;

export interface Allocation {
  /** By container name. */
  readonly containers: ReadonlyMap<string, Resources>;
  readonly pod: Resources | undefined;
}

export function allocationOf(pod: Pod): Allocation {
  const all = [...initContainersOf(pod), ...containersOf(pod)];
  return { containers: new Map(all.map((c) => [c.name, c.resources ?? {}])), pod: pod.spec?.resources };
}

/** The Pod as the node has granted it: all that plans and makes its containers reads this one. The same object where nothing differs. */
export function allocatedPod(pod: Pod, a: Allocation): Pod {
  const { spec } = pod;
  const all = [...initContainersOf(pod), ...containersOf(pod)];
  const same = (c: Container) => semanticEqual(c.resources ?? {}, a.containers.get(c.name) ?? c.resources ?? {});
  if (!spec || (all.every(same) && semanticEqual(spec.resources, a.pod))) return pod;
  const granted = (c: Container): Container => ({ ...c, resources: a.containers.get(c.name) ?? c.resources ?? {} });
  const { resources: _, ...rest } = spec;
  return {
    ...pod,
    spec: {
      ...rest,
      containers: spec.containers.map(granted),
      ...(spec.initContainers && { initContainers: spec.initContainers.map(granted) }),
      ...(a.pod && { resources: a.pod }),
    },
  };
}

/** What an earlier agent has granted, as far as it has reported it. */
export function allocationFromStatus(pod: Pod): Allocation {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const own = allocationOf(pod);
  const containers = new Map(own.containers);
  for (const { name, allocatedResources, resources } of statuses) {
    const spec = containers.get(name);
    if (!spec || !allocatedResources) continue;
    containers.set(name, {
      ...spec,
      ...(spec.requests && { requests: { ...spec.requests, ...allocatedResources } }),
      ...(spec.limits && { limits: { ...spec.limits, ...resources?.limits } }),
    });
  }
  return { ...own, containers };
}

/** A resize that can never be granted on this node, in the kubelet's words. */
export function infeasible(pod: Pod, allocatable: Readonly<Record<string, string>>): string | undefined {
  const [wanted, capacity] = [podRequests(pod), resourceTotals(allocatable)];
  for (const name of ["memory", "cpu"]) {
    const [needs, has] = [wanted[name] ?? 0n, capacity[name] ?? 0n];
    if (needs > has) return `Node didn't have enough capacity: ${name}, requested: ${needs}, capacity: ${has}`;
  }
  return undefined;
}
