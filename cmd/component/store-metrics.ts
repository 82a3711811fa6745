/** How large the store is, as Kubernetes' API server tells it, and how much of that is in use. */
import type { StoreMaintenance, StoreStatus } from "../../pkg/store/store.ts";
import type { Metrics } from "../../pkg/util/metrics.ts";

const LABEL = "storage_cluster_id";

/** A scrape is answered at once, with what was found at the one before: etcd's members may take their time. */
export function storeMetrics(maintenance: StoreMaintenance | undefined, metrics: Metrics): void {
  if (!maintenance) return;
  let found: StoreStatus | undefined;
  const look = () =>
    void maintenance.status().then(
      (status) => (found = status),
      () => (found = undefined),
    );
  const told = (pick: (m: { dbSize: number; inUse: number }) => number) => {
    if (!found) return [];
    const own = { name: found.kind, dbSize: found.sizeBytes, inUse: found.inUseBytes, healthy: true };
    const members = found.members.length > 0 ? found.members.filter((m) => m.healthy) : [own];
    return members.map((m) => [{ [LABEL]: m.name }, pick(m)] as const);
  };
  look();
  metrics.gauge(
    {
      name: "apiserver_storage_size_bytes",
      help: "Size of the storage database file physically allocated in bytes, by member.",
      labels: [LABEL],
    },
    () => {
      look();
      return told((m) => m.dbSize);
    },
  );
  metrics.gauge(
    {
      name: "minikube_storage_in_use_bytes",
      help: "Bytes of the storage database file that hold something, by member.",
      labels: [LABEL],
    },
    () => told((m) => m.inUse),
  );
}
