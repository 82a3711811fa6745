/** How a running container comes to what its Pod was granted. Pure. */
import type { ContainerResources, LiveResources } from "../../runtime/resources.ts";
import type { RuntimeContainer } from "../../runtime/runtime.ts";
import type { Container, Pod } from "../facts.ts";
import { containerResources } from "../resources.ts";

export type Resize =
  /** In place. */
  | { readonly type: "update"; readonly resources: LiveResources }
  /** Its policy for what changes asks for a new one. */
  | { readonly type: "restart" };

const OF_CPU = ["cpuShares", "cpuQuota"] as const;
const OF_MEMORY = ["memoryBytes"] as const;

/** Undefined: it has what it should have, or nobody has looked. `pod` is the granted one. */
export function planResize(pod: Pod, c: Container, actual: RuntimeContainer): Resize | undefined {
  if (!actual.resources || actual.state !== "running") return undefined;
  const wanted = liveResourcesOf(pod, c);
  const has = actual.resources;
  const differs = (names: readonly (keyof LiveResources)[]) =>
    names.filter((n) => wanted[n] !== undefined && wanted[n] !== has[n]);
  const [cpu, memory] = [differs(OF_CPU), differs(OF_MEMORY)];
  if (cpu.length + memory.length === 0) return undefined;
  const restarts = (resource: string) =>
    c.resizePolicy?.some((p) => p.resourceName === resource && p.restartPolicy === "RestartContainer");
  if ((cpu.length > 0 && restarts("cpu")) || (memory.length > 0 && restarts("memory"))) return { type: "restart" };
  return { type: "update", resources: Object.fromEntries([...cpu, ...memory].map((n) => [n, wanted[n]])) };
}

/** Of a container as its Pod was granted it. */
export function liveResourcesOf(pod: Pod, c: Container): LiveResources {
  return liveOf(containerResources(pod, c, { nodeMemory: 1 }));
}

export function liveOf({ cpuShares, cpuQuota, memoryBytes }: ContainerResources): LiveResources {
  return {
    ...(cpuShares !== undefined && { cpuShares }),
    ...(cpuQuota !== undefined && { cpuQuota }),
    ...(memoryBytes !== undefined && { memoryBytes }),
  };
}
