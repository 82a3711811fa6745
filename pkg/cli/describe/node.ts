/** `describe node`: what it is, and what of it the Pods on it have asked for. */
import type { Node, Pod } from "../../api/generated/types.ts";
import { effectiveRequests, isTerminal, resourceTotals } from "../../api/pod.ts";
import { humanAge } from "../../api/duration.ts";
import { formatQuantity, parseQuantity } from "../../api/quantity.ts";
import { annotations, block, compact, type Entry, pairs, row } from "./tree.ts";
import { localTime } from "./time.ts";

export function describeNode(node: Node, pods: readonly Pod[], now: number): Entry[] {
  const { metadata, spec, status } = node;
  const roles = Object.keys(metadata.labels ?? {}).flatMap(
    (l) => l.match(/^node-role\.kubernetes\.io\/(.+)/)?.[1] ?? [],
  );
  const running = pods.filter((p) => !isTerminal(p));
  return compact([
    row("Name", metadata.name),
    row("Roles", roles.join(",")),
    row("Labels", pairs(metadata.labels)),
    row("Annotations", annotations(metadata.annotations)),
    row("CreationTimestamp", localTime(metadata.creationTimestamp)),
    row(
      "Taints",
      (spec?.taints ?? []).map((t) => `${t.key}${t.value ? `=${t.value}` : ""}:${t.effect}`),
    ),
    row("Unschedulable", spec?.unschedulable === true),
    {
      label: "Conditions",
      header: ["Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"],
      rows: (status?.conditions ?? []).map((c) => [
        c.type,
        c.status,
        localTime(c.lastHeartbeatTime),
        localTime(c.lastTransitionTime),
        c.reason ?? "",
        c.message ?? "",
      ]),
    },
    block(
      "Addresses",
      (status?.addresses ?? []).map((a) => row(a.type, a.address)),
    ),
    block("Capacity", quantities(status?.capacity)),
    block("Allocatable", quantities(status?.allocatable)),
    block(
      "System Info",
      Object.entries(status?.nodeInfo ?? {}).map(([k, v]) => row(title(k), v)),
    ),
    spec?.podCIDR ? row("PodCIDR", spec.podCIDR) : undefined,
    {
      label: `Non-terminated Pods (${running.length} in total)`,
      header: ["Namespace", "Name", "CPU Requests", "Memory Requests", "Age"],
      rows: running.map((p) => {
        const asked = effectiveRequests(p);
        return [
          p.metadata.namespace ?? "",
          p.metadata.name ?? "",
          shown("cpu", asked.cpu),
          shown("memory", asked.memory),
          humanAge(p.metadata.creationTimestamp, now),
        ];
      }),
    },
    allocated(node, running),
  ]);
}

const quantities = (list: Readonly<Record<string, unknown>> | undefined) =>
  Object.entries(list ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => row(k, v));

const title = (field: string) =>
  field
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/^./, (c) => c.toUpperCase())
    .replace(/^Os\b/, "OS");

/** Totals are in thousandths for cpu and whole units for the rest (pod.ts). */
function shown(resource: string, amount: bigint | undefined): string {
  if (!amount) return "0";
  if (resource === "cpu") return amount % 1000n === 0n ? String(amount / 1000n) : `${amount}m`;
  return resource === "memory" || resource.endsWith("-storage") ? mebibytes(amount) : String(amount);
}

const mebibytes = (bytes: bigint) =>
  bytes % 1048576n === 0n ? `${bytes / 1048576n}Mi` : formatQuantity(parseQuantity(String(bytes)));

function allocated(node: Node, pods: readonly Pod[]): Entry {
  const capacity = resourceTotals(node.status?.allocatable as Record<string, string> | undefined);
  const sums: Record<string, bigint> = {};
  for (const pod of pods) for (const [k, v] of Object.entries(effectiveRequests(pod))) sums[k] = (sums[k] ?? 0n) + v;
  const names = [...new Set(["cpu", "memory", ...Object.keys(sums)])].filter((n) => n !== "pods");
  return {
    label: "Allocated resources",
    header: ["Resource", "Requests"],
    rows: names.map((n) => {
      const [sum, whole] = [sums[n] ?? 0n, capacity[n] ?? 0n];
      return [n, `${shown(n, sum)} (${whole === 0n ? 0n : (sum * 100n) / whole}%)`];
    }),
  };
}
