/** What this node has to give, and to whom it gives it: admission, resizes, devices, and what happens when it runs short. */
import { nodes } from "../api/kinds/core/node.ts";
import { pods } from "../api/kinds/core/pod.ts";
import { type EventRecorder, subjectOf } from "../reconcile/events.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { admitPod, type Refusal } from "./admit.ts";
import type { AllocatedDevices, DeviceInventory } from "./devices/devices.ts";
import { DeviceManager } from "./devices/manager.ts";
import { admitUnderPressure } from "./eviction/admit.ts";
import { type Evictable, EvictionManager } from "./eviction/manager.ts";
import type { EvictionSettings, Pressure } from "./eviction/thresholds.ts";
import type { Pod } from "./facts.ts";
import type { Measurement } from "./node-status.ts";
import { Allocations, type Offer } from "./resize/allocations.ts";

export interface Occupant extends Evictable {
  /** Its resize is worth another try. */
  reconsider(): void;
}

export interface RoomOptions {
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: ContainerRuntime;
  readonly dataDir: string;
  readonly events: Pick<EventRecorder, "event">;
  readonly settings: EvictionSettings;
  readonly inventory: DeviceInventory;
  /** Processes and threads of one container; absent: no limit. */
  readonly podPidsLimit?: number | undefined;
  readonly measure: () => Promise<Measurement>;
  readonly allocatable: () => Readonly<Record<string, string>>;
  /** See {@link admitPod}. */
  readonly labels: () => Readonly<Record<string, string>>;
  readonly occupants: () => Iterable<Occupant>;
  /** Frees what nobody uses. */
  readonly reclaimDisk?: (signal: AbortSignal) => Promise<void>;
  /** {@link Room.pressures} are others now. */
  readonly onChange: () => void;
}

export class Room {
  readonly #o: RoomOptions;
  readonly #allocations: Allocations;
  readonly #devices: DeviceManager;
  readonly #eviction: EvictionManager;

  constructor(o: RoomOptions) {
    this.#o = o;
    this.#devices = new DeviceManager(o.inventory, o.occupants);
    this.#allocations = new Allocations({ allocatable: o.allocatable, admit: (pod) => this.#fits(pod) });
    const node = { apiVersion: "v1", kind: nodes.kind, name: o.nodeName, uid: o.nodeName };
    this.#eviction = new EvictionManager({
      ...o,
      pods: o.occupants,
      event: (reason, message) => o.events.event(node, "Warning", reason, message),
      podEvent: (pod, reason, message) => o.events.event(subjectOf(pods, pod), "Warning", reason, message),
    });
  }

  get pressures(): readonly Pressure[] {
    return this.#eviction.pressures;
  }

  /** Of evictions so far, by what the node was short of. */
  get evictions(): ReadonlyMap<string, number> {
    return this.#eviction.counts;
  }

  get pids(): number | undefined {
    return this.#o.podPidsLimit;
  }

  /** Undefined: the Pod is in, with what its spec asks for. */
  admit(pod: Pod): Refusal | undefined {
    const refusal = admitUnderPressure(pod, this.pressures) ?? this.#devices.admit(pod) ?? this.#fits(pod);
    if (!refusal) this.#allocations.admitted(pod);
    return refusal;
  }

  /** The Pod with what the node grants it at present, which may be less than it asks for by now. */
  offer(pod: Pod): Offer {
    return this.#allocations.offer(pod);
  }

  devicesOf(pod: Pod, container: string): AllocatedDevices | undefined {
    return this.#devices.of(pod, container);
  }

  /** Nothing is left of it: what it had is for others. */
  left(uid: string): void {
    this.#allocations.forget(uid);
    this.#retryResizes();
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#eviction.run(signal, () => this.#retryResizes());
  }

  /** The more important first. */
  #retryResizes(): void {
    const priority = (o: Occupant) => o.pod?.spec?.priority ?? 0;
    const waiting = [...this.#o.occupants()].filter((o) => this.#allocations.isPending(o.pod?.metadata.uid ?? ""));
    for (const o of waiting.toSorted((a, b) => priority(b) - priority(a))) o.reconsider();
  }

  #fits(pod: Pod): Refusal | undefined {
    const others = [...this.#o.occupants()].flatMap((o) => (o.pod && o.holdsResources ? [o.pod] : []));
    return admitPod({ pod, others, labels: this.#o.labels(), allocatable: this.#o.allocatable() });
  }
}
