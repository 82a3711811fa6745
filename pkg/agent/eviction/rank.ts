/** Who goes first when a node is short of something, and what is said of it, as the kubelet. Pure. */
import { podRequests } from "../../api/pod.ts";
import { bytes, canonicalQuantity, formatQuantity } from "../../api/quantity.ts";
import { type Container, containersOf, initContainersOf, type Pod } from "../facts.ts";
import type { Observations } from "./plan.ts";
import { SIGNALS, type StarvedResource, type Threshold, unitsOf } from "./thresholds.ts";

export interface ContainerUse {
  readonly name: string;
  /** Working set, in bytes. */
  readonly memory?: number;
  /** Writable layer and logs, in bytes. */
  readonly disk?: number;
}

export interface PodUse {
  readonly pod: Pod;
  /** Of all containers; absent: not known. */
  readonly used: Partial<Readonly<Record<StarvedResource, number>>>;
  readonly containers: readonly ContainerUse[];
}

/** From here on a Pod is critical: it is not evicted. */
const CRITICAL = 2_000_000_000;

export function isCritical({ metadata, spec }: Pod): boolean {
  const fixed = metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;
  return fixed || (spec?.priority ?? 0) >= CRITICAL;
}

/**
 * First those of which nothing is known, then those that use more than they asked for, then the less important, then by
 * how far they are above their request.
 */
export function rankForEviction(pods: readonly PodUse[], resource: StarvedResource): readonly PodUse[] {
  return pods
    .filter((p) => !isCritical(p.pod))
    .toSorted(
      (a, b) =>
        Number(a.used[resource] !== undefined) - Number(b.used[resource] !== undefined) ||
        (resource === "pids" ? 0 : Number(excess(b, resource) > 0) - Number(excess(a, resource) > 0)) ||
        (a.pod.spec?.priority ?? 0) - (b.pod.spec?.priority ?? 0) ||
        excess(b, resource) - excess(a, resource),
    );
}

function excess({ pod, used }: PodUse, resource: StarvedResource): number {
  return (used[resource] ?? 0) - Number(podRequests(pod)[resource] ?? 0n);
}

export function evictionMessage(p: PodUse, t: Threshold, observed: Observations): string {
  const { resource } = SIGNALS[t.signal];
  const o = observed[t.signal];
  const numbers = o
    ? `Threshold quantity: ${amount(unitsOf(t.value, o.capacity), resource)}, available: ${amount(o.available, resource)}. `
    : "";
  return `The node was low on resource: ${resource}. ${numbers}${blame(p, resource)}`;
}

/** Those who use more than they asked for. */
function blame({ pod, used, containers }: PodUse, resource: StarvedResource): string {
  if (resource !== "memory" && resource !== "ephemeral-storage") return "";
  const whole = pod.spec?.resources?.requests?.[resource];
  const ofPod =
    resource === "memory" && whole !== undefined
      ? [`Pod ${pod.metadata.name} was using ${amount(used.memory ?? 0, resource)}, request is ${whole}`]
      : [];
  const all = [...containersOf(pod), ...initContainersOf(pod)];
  const ofContainers = containers.flatMap((u) => {
    const asked = request(
      all.find((c) => c.name === u.name),
      resource,
    );
    const using = resource === "memory" ? u.memory : u.disk;
    if (using === undefined || using <= bytes(asked)) return [];
    return [`Container ${u.name} was using ${amount(using, resource)}, request is ${asked}`];
  });
  return [...ofPod, ...ofContainers].map((text) => `${text}, has larger consumption of ${resource}. `).join("");
}

function request(c: Container | undefined, resource: string): string {
  return canonicalQuantity(c?.resources?.requests?.[resource] ?? "0");
}

function amount(units: number, resource: StarvedResource): string {
  const counted = resource === "inodes" || resource === "pids";
  return formatQuantity({ nano: BigInt(units) * 1_000_000_000n, format: counted ? "DecimalSI" : "BinarySI" });
}
