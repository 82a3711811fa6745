/** Who holds which device on this node. */
import type { DeviceIds } from "../../runtime/resources.ts";
import type { RuntimePod } from "../../runtime/runtime.ts";
import { newestOf, type Pod } from "../facts.ts";
import { allocateDevices, NoDevice, type PodDevices } from "./allocate.ts";
import { type AllocatedDevices, type DeviceInventory, handOver } from "./devices.ts";

const runs = (actual: RuntimePod | undefined) => actual?.containers.some((c) => c.state === "running") ?? false;

export interface Holder {
  readonly pod: Pod | undefined;
  readonly actual: RuntimePod | undefined;
  /** Its devices are not for others. */
  readonly holdsResources: boolean;
}

/**
 *  G1  A device is given on only when no container of who had it may run any more.
 *  G2  Nothing is kept beside the runtime: what containers hold is read from them, so a restarted agent knows it.
 */
export class DeviceManager {
  readonly #inventory: DeviceInventory;
  readonly #holders: () => Iterable<Holder>;
  /** By Pod uid: what was given and may not have a container yet. */
  readonly #given = new Map<string, PodDevices>();

  constructor(inventory: DeviceInventory, holders: () => Iterable<Holder>) {
    this.#inventory = inventory;
    this.#holders = holders;
  }

  get inventory(): DeviceInventory {
    return this.#inventory;
  }

  /** The kubelet's words when there are too few; undefined: the Pod has what it asks for. */
  admit(pod: Pod): { reason: string; message: string } | undefined {
    if (Object.keys(this.#inventory).length === 0) return undefined;
    try {
      this.#allocate(pod);
      return undefined;
    } catch (error) {
      if (!(error instanceof NoDevice)) throw error;
      const message = `Allocate failed due to ${error.message}, which is unexpected`;
      return { reason: "UnexpectedAdmissionError", message };
    }
  }

  /** Of one container of an admitted Pod. */
  of(pod: Pod, container: string): AllocatedDevices | undefined {
    const given = this.#given.get(pod.metadata.uid ?? "") ?? this.#allocate(pod);
    return handOver(this.#inventory, given.get(container) ?? {});
  }

  #allocate(pod: Pod): PodDevices {
    const uid = pod.metadata.uid ?? "";
    const holders = [...this.#holders()].filter((h) => h.pod && (h.holdsResources || runs(h.actual)));
    const known = new Set(holders.map((h) => h.pod?.metadata.uid ?? ""));
    for (const other of this.#given.keys()) if (!known.has(other) && other !== uid) this.#given.delete(other);
    const taken = holders
      .filter((h) => h.pod?.metadata.uid !== uid)
      .flatMap((h) => [...this.#devicesOf(h.pod, h.actual).values()]);
    const mine = holders.find((h) => h.pod?.metadata.uid === uid);
    const devices = allocateDevices(pod, this.#inventory, { taken, held: this.#devicesOf(pod, mine?.actual) });
    this.#given.set(uid, devices);
    return devices;
  }

  #devicesOf(pod: Pod | undefined, actual: RuntimePod | undefined): PodDevices {
    const given = this.#given.get(pod?.metadata.uid ?? "");
    if (given) return given;
    const names = new Set((actual?.containers ?? []).map((c) => c.name));
    const held = [...names].map((name): [string, DeviceIds] => [name, newestOf(actual, name)?.devices ?? {}]);
    return new Map(held);
  }
}
