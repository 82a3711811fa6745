/** What a look at Pods and their use adds to the history of their containers. */
import type { PodMetrics } from "../../api/generated/types.ts";
import { amount } from "../../api/verticalpodautoscaler.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { ContainerUsage } from "./usage.ts";

/** `metrics` by the Pod's name. Changes `usages`. */
export function learn(
  usages: Map<string, ContainerUsage>,
  pods: readonly ReadonlyPod[],
  metrics: ReadonlyMap<string, DeepReadonly<PodMetrics>>,
): void {
  const instances = new Set<string>();
  for (const pod of pods) {
    const measured = metrics.get(pod.metadata.name ?? "");
    for (const { name, resources } of pod.spec?.containers ?? []) {
      const instance = `${pod.metadata.uid ?? ""}/${name}`;
      instances.add(instance);
      const usage = usages.get(name) ?? new ContainerUsage();
      usages.set(name, usage);
      const requests = resources?.requests ?? {};
      const used = measured?.containers.find((c) => c.name === name)?.usage;
      if (measured && used) {
        usage.add({
          instance,
          at: Date.parse(measured.timestamp),
          cpus: amount(used["cpu"] ?? "0"),
          memoryBytes: amount(used["memory"] ?? "0"),
          requestedCpus: amount(requests["cpu"] ?? "0"),
        });
      }
      const killedAt = outOfMemoryAt(pod, name);
      if (killedAt !== undefined) usage.ranOutOfMemory(instance, amount(requests["memory"] ?? "0"), killedAt);
    }
  }
  for (const usage of usages.values()) usage.keepOnly(instances);
}

function outOfMemoryAt(pod: ReadonlyPod, container: string): number | undefined {
  const status = pod.status?.containerStatuses?.find((s) => s.name === container);
  const ends = [status?.state?.terminated, status?.lastState?.terminated];
  const killed = ends.find((e) => e?.reason === "OOMKilled");
  return killed?.finishedAt === undefined ? undefined : Date.parse(killed.finishedAt);
}
