/** The node's own last word on a Pod that somebody bound to it, as the kubelet's admission. Pure. */
import { podRequests, type ResourceTotals, resourceTotals } from "../api/pod.ts";
import { isExtended } from "../api/validation/resources.ts";
import { own } from "../util/keys.ts";
import { portsOf } from "./config.ts";
import { isTerminalPhase, containersOf, type Pod } from "./facts.ts";

export interface AdmissionInput {
  readonly pod: Pod;
  /** Those admitted before. */
  readonly others: readonly Pod[];
  /** What the node is by nature (its name, its architecture): other labels may change, and the scheduler has seen them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly allocatable: Readonly<Record<string, string>>;
}

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** Undefined: there is room. */
export function admitPod(i: AdmissionInput): Refusal | undefined {
  const others = i.others.filter((p) => p.metadata.uid !== i.pod.metadata.uid && !isTerminalPhase(p.status?.phase));
  return selectorRefusal(i) ?? portRefusal(i.pod, others) ?? resourceRefusal(i, others);
}

function selectorRefusal({ pod, labels }: AdmissionInput): Refusal | undefined {
  const wanted = Object.entries(pod.spec?.nodeSelector ?? {});
  if (wanted.every(([k, v]) => (own(labels, k) ?? v) === v)) return undefined;
  const message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
  return { reason: "NodeAffinity", message };
}

function portRefusal(pod: Pod, others: readonly Pod[]): Refusal | undefined {
  const taken = others.flatMap(hostPorts);
  const clash = hostPorts(pod).some((p) => taken.some((t) => clashes(p, t)));
  if (!clash) return undefined;
  const message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
  return { reason: "NodePorts", message };
}

interface HostPort {
  readonly port: number;
  readonly protocol: string;
  readonly ip: string;
}

function hostPorts(pod: Pod): HostPort[] {
  const mapped = portsOf(pod).map((p) => ({ port: p.hostPort, protocol: p.protocol, ip: p.hostIP ?? "" }));
  if (!pod.spec?.hostNetwork) return mapped;
  const own = containersOf(pod).flatMap((c) => c.ports ?? []);
  return own.map((p) => ({ port: p.containerPort, protocol: p.protocol ?? "TCP", ip: "" }));
}

/** An address left open means all of them. */
function clashes(a: HostPort, b: HostPort): boolean {
  const open = (ip: string) => ip === "" || ip === "0.0.0.0" || ip === "::";
  return a.port === b.port && a.protocol === b.protocol && (open(a.ip) || open(b.ip) || a.ip === b.ip);
}

function resourceRefusal(i: AdmissionInput, others: readonly Pod[]): Refusal | undefined {
  const capacity = resourceTotals(i.allocatable);
  const used: ResourceTotals = { pods: BigInt(others.length) };
  for (const p of others) for (const [n, q] of Object.entries(podRequests(p))) used[n] = (used[n] ?? 0n) + q;
  for (const [name, needed] of Object.entries({ pods: 1n, ...podRequests(i.pod) })) {
    const [free, taken] = [capacity[name] ?? 0n, used[name] ?? 0n];
    if (needed === 0n || taken + needed <= free) continue;
    // Somebody else may have put an extended resource into the Node's status; of those the scheduler has the say.
    if (isExtended(name) && capacity[name] === undefined) continue;
    const numbers = `requested: ${needed}, used: ${taken}, capacity: ${free}`;
    return { reason: `OutOf${name}`, message: `Node didn't have enough resource: ${name}, ${numbers}` };
  }
  return undefined;
}
