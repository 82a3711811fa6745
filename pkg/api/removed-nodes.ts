/** Nodes that were removed: certificates issued to them before that are not good any more. Pure. */

/** Its data: name of the node → when it was removed, RFC 3339. */
export const REMOVED_NODES = { namespace: "kube-system", name: "removed-nodes" };

/** No certificate lives longer. */
const KEPT_MS = 366 * 24 * 3_600_000;

type Data = Readonly<Record<string, string>>;

/** Whether a certificate of that node was issued before the node was last removed, or in the same second: both know no finer time. */
export function isRemoved(data: Data | undefined, node: string, issuedAt: number): boolean {
  return issuedAt <= Date.parse(data?.[node] ?? "");
}

/** With this node, and without those whose certificates have all ended. */
export function withRemoved(data: Data | undefined, node: string, at: string): Data {
  const kept = Object.entries(data ?? {}).filter(([, t]) => Date.parse(at) - Date.parse(t) < KEPT_MS);
  return { ...Object.fromEntries(kept), [node]: at };
}
