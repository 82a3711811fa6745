/** Objects that every cluster has. Created at each start where they are missing; what a user made of them stays. */
import type { APIService, StorageClass } from "../api/generated/types.ts";
import type { ApiObject } from "../api/object.ts";
import { parseApiVersion } from "../api/object.ts";
import { isReason } from "../api/status.ts";
import { HOSTPATH_PROVISIONER } from "../api/volumes.ts";
import type { Transport } from "../client/transport.ts";
import type { ClusterView } from "./admission.ts";
import type { ResourceTable } from "./resource-table.ts";
import { kubernetesService } from "./kubernetes-service.ts";
import { systemPriorityClasses } from "./admission/priority.ts";

const namespace = (name: string): ApiObject => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });

/** Waits for the first Pod: on a node of its own choice a volume would choose the Pod's node. */
const standardClass: ApiObject & StorageClass = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
  provisioner: HOSTPATH_PROVISIONER,
  reclaimPolicy: "Delete",
  volumeBindingMode: "WaitForFirstConsumer",
  allowVolumeExpansion: true,
};

/** There are clients that look here, not into discovery, for whether metrics are to be had. */
const metricsService: ApiObject & APIService = {
  apiVersion: "apiregistration.k8s.io/v1",
  kind: "APIService",
  metadata: { name: "v1beta1.metrics.k8s.io" },
  spec: { group: "metrics.k8s.io", version: "v1beta1", groupPriorityMinimum: 100, versionPriority: 100 },
};

/** In the order in which they need each other; those of one row are made at once. */
export const bootObjects = (apiServiceIp: string): readonly (readonly ApiObject[])[] => [
  ["default", "kube-system", "kube-public", "kube-node-lease"].map(namespace),
  systemPriorityClasses,
  [standardClass, kubernetesService(apiServiceIp), metricsService],
];

/** What a server must have for it. */
export interface BootServer {
  readonly resources: Pick<ResourceTable, "all">;
  readonly view: Pick<ClusterView, "get">;
  transport(): Transport;
}

/** Costs one look for each object that is there already. */
export async function createBootObjects(server: BootServer, apiServiceIp: string): Promise<void> {
  for (const row of bootObjects(apiServiceIp)) await Promise.all(row.map((o) => ensure(server, o)));
}

async function ensure(server: BootServer, o: ApiObject): Promise<void> {
  const { group, version } = parseApiVersion(o.apiVersion ?? "");
  const def = server.resources.all.find((d) => d.group === group && d.version === version && d.kind === o.kind);
  if (!def) return;
  const { name = "", namespace } = o.metadata;
  if (server.view.get(def, namespace ?? "", name)) return;
  const address = { group, version, resource: def.plural, ...(namespace !== undefined && { namespace }) };
  const transport = server.transport();
  try {
    await transport.call({ verb: "create", ...address, body: o });
  } catch (error) {
    if (isReason(error, "AlreadyExists")) return;
    // A server that starts at the same moment may have made it: then the Service's address is taken, by the Service itself.
    const made = await transport.call({ verb: "get", ...address, name }).catch(() => undefined);
    if (!made) throw error;
  }
}
