/** Histories outlive the controller: one VerticalPodAutoscalerCheckpoint for each container name of a VPA. */
import { deepEqual } from "../../api/equal.ts";
import { type ApiObject, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import { type VerticalPodAutoscaler, verticalPodAutoscalers } from "../../api/verticalpodautoscaler.ts";
import type { Client } from "../../client/client.ts";
import type { Cause } from "../../client/transport.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { ownerReference } from "../workload/pods.ts";
import { ContainerUsage, type SavedUsage } from "./usage.ts";

type Vpa = DeepReadonly<VerticalPodAutoscaler>;

interface Checkpoint extends ApiObject {
  spec: { vpaObjectName: string; containerName: string };
  status?: SavedUsage;
}

const checkpoints: ResourceRef<Checkpoint> = {
  group: "autoscaling.k8s.io",
  version: "v1",
  kind: "VerticalPodAutoscalerCheckpoint",
  plural: "verticalpodautoscalercheckpoints",
  namespaced: true,
};

export type Usages = Map<string, ContainerUsage>;

/** By container name. */
export async function loadUsage(client: Client, vpa: Vpa, signal: AbortSignal): Promise<Usages> {
  const { items } = await client.resource(checkpoints, namespaceOf(vpa)).list({}, signal);
  const usages: Usages = new Map();
  for (const { spec, status } of items) {
    if (spec.vpaObjectName !== nameOf(vpa) || !status) continue;
    const usage = new ContainerUsage();
    usage.load(status);
    usages.set(spec.containerName, usage);
  }
  return usages;
}

/** They go with the VPA. */
export async function saveUsage(
  client: Client,
  vpa: Vpa,
  usages: ReadonlyMap<string, ContainerUsage>,
  cause: Cause,
): Promise<void> {
  const api = client.resource(checkpoints, namespaceOf(vpa));
  for (const [containerName, usage] of usages) {
    if (usage.isEmpty) continue;
    const name = `${nameOf(vpa)}-${containerName}`;
    const checkpoint = {
      metadata: { name, namespace: namespaceOf(vpa), ownerReferences: [ownerReference(verticalPodAutoscalers, vpa)] },
      spec: { vpaObjectName: nameOf(vpa), containerName },
      status: usage.save(),
    };
    try {
      const old = await api.get(name);
      if (!deepEqual(old.status, checkpoint.status))
        await api.update({ ...old, ...checkpoint, metadata: old.metadata }, { cause });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
      await api.create(checkpoint, { cause });
    }
  }
}
