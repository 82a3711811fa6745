/** Which API servers there are: each keeps a Lease, as Kubernetes' own do, that says where it listens. */
import type { Lease } from "../api/generated/types.ts";
import type { DeepReadonly } from "../util/types.ts";

export const API_SERVER_LEASES = {
  namespace: "kube-system",
  label: "apiserver.kubernetes.io/identity",
  value: "kube-apiserver",
} as const;

/** `HOST:PORT` of each, sorted. */
export function apiServerAddresses(leases: readonly DeepReadonly<Lease>[]): readonly string[] {
  const holders = leases
    .filter((l) => l.metadata.labels?.[API_SERVER_LEASES.label] === API_SERVER_LEASES.value)
    .map((l) => l.spec?.holderIdentity ?? "");
  return holders.filter((h) => /^.+:\d+$/.test(h)).toSorted();
}
