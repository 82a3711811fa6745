/** What this node has granted its Pods, and whether it can grant what they ask for since. */
import { semanticEqual } from "../../api/equal.ts";
import type { Pod } from "../facts.ts";
import { type Allocation, allocatedPod, allocationFromStatus, allocationOf, infeasible } from "./allocation.ts";

/** Why a Pod has not been given what its spec asks for. */
export interface PendingResize {
  readonly reason: "Deferred" | "Infeasible";
  readonly message: string;
}

export interface Offer {
  /** With the resources that the node grants. */
  readonly pod: Pod;
  readonly pending?: PendingResize;
  /** What this call has decided, where that is news. */
  readonly decided?: "ResizeStarted" | "ResizeDeferred" | "ResizeInfeasible";
}

export interface AllocationsOptions {
  readonly allocatable: () => Readonly<Record<string, string>>;
  /** Undefined: there is room for the Pod beside all others. */
  readonly admit: (pod: Pod) => { reason: string; message: string } | undefined;
}

interface Entry {
  allocation: Allocation;
  pending: PendingResize | undefined;
}

/**
 *  Z1  The sum of what is granted never exceeds what the node has: a resize is granted whole or not at all.
 *  Z2  What is granted is shown in the Pod's status, and read back from there by the next agent.
 */
export class Allocations {
  readonly #o: AllocationsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(o: AllocationsOptions) {
    this.#o = o;
  }

  /** Before admission a Pod's own spec stands; afterwards what it asks for anew is granted if it fits. */
  offer(pod: Pod): Offer {
    const entry = this.#entry(pod);
    if (!entry) return { pod };
    const granted = allocatedPod(pod, entry.allocation);
    if (granted === pod) return this.#settled(entry, pod);
    const pending = this.#refusal(pod);
    if (!pending) {
      this.#settled(entry, pod);
      entry.allocation = allocationOf(pod);
      return { pod, decided: "ResizeStarted" };
    }
    const news = !semanticEqual(pending, entry.pending);
    entry.pending = pending;
    return { pod: granted, pending, ...(news && { decided: `Resize${pending.reason}` as const }) };
  }

  /** It has been admitted with what its spec says. */
  admitted(pod: Pod): void {
    this.#entries.set(uidOf(pod), { allocation: allocationOf(pod), pending: undefined });
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  /** Some wait for room. */
  isPending(uid: string): boolean {
    return this.#entries.get(uid)?.pending !== undefined;
  }

  #settled(entry: Entry, pod: Pod): Offer {
    entry.pending = undefined;
    return { pod };
  }

  /** Of a Pod that an earlier agent has admitted its status tells. */
  #entry(pod: Pod): Entry | undefined {
    const known = this.#entries.get(uidOf(pod));
    if (known || pod.status?.startTime === undefined) return known;
    const entry: Entry = { allocation: allocationFromStatus(pod), pending: undefined };
    this.#entries.set(uidOf(pod), entry);
    return entry;
  }

  #refusal(pod: Pod): PendingResize | undefined {
    const never = infeasible(pod, this.#o.allocatable());
    if (never !== undefined) return { reason: "Infeasible", message: never };
    const now = this.#o.admit(pod);
    return now && { reason: "Deferred", message: now.message };
  }
}

const uidOf = (pod: Pod) => pod.metadata.uid ?? "";
