/** Devices of a node that are handed to containers, as extended resources. Pure. */
import { isExtended } from "../../api/validation/resources.ts";
import type { ContainerDevices, DeviceMapping } from "../../runtime/resources.ts";

export interface Device {
  /** Unique among those of its resource, and stable over restarts. */
  readonly id: string;
  readonly mappings: readonly DeviceMapping[];
  /** For whoever gets it; values of several devices are joined by commas. */
  readonly env: Readonly<Record<string, string>>;
  /** The runtime's own NVIDIA driver is asked for it by its id. */
  readonly nvidia: boolean;
}

/** By resource name. */
export type DeviceInventory = Readonly<Record<string, readonly Device[]>>;

/** What one container is given. */
export interface AllocatedDevices extends ContainerDevices {
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

export class DeviceListError extends Error {}

/**
 * A list written by hand: `{ "nvidia.com/gpu": [{ "id": "GPU-0", "devices": ["/dev/dri/card0"], "env": {} }] }`. A device is
 * `HOST_PATH`, `HOST_PATH:CONTAINER_PATH` or `HOST_PATH:CONTAINER_PATH:rwm`.
 */
export function parseDeviceList(text: string): DeviceInventory {
  const list = parsed(text);
  if (!isObject(list)) throw new DeviceListError("a device list is an object: resource name → devices");
  return Object.fromEntries(
    Object.entries(list).map(([resource, devices]) => {
      if (!isExtended(resource)) throw new DeviceListError(`${resource}: not a name like example.com/device`);
      if (!Array.isArray(devices)) throw new DeviceListError(`${resource}: not a list of devices`);
      const read = (devices as unknown[]).map((d, n) => readDevice(d, `${resource}[${n}]`));
      const ids = read.map((d) => d.id);
      const twice = ids.find((id, n) => ids.indexOf(id) !== n);
      if (twice !== undefined) throw new DeviceListError(`${resource}: the id "${twice}" is there twice`);
      return [resource, read];
    }),
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DeviceListError(`not JSON: ${(error as Error).message}`);
  }
}

function readDevice(d: unknown, at: string): Device {
  if (!isObject(d) || typeof d["id"] !== "string" || d["id"] === "")
    throw new DeviceListError(`${at}.id: a text is needed`);
  const { id, devices = [], env = {} } = d;
  if (!Array.isArray(devices)) throw new DeviceListError(`${at}.devices: not a list of paths`);
  if (!isObject(env) || Object.values(env).some((v) => typeof v !== "string"))
    throw new DeviceListError(`${at}.env: not an object of texts`);
  const mappings = (devices as unknown[]).map((m, n) => readMapping(m, `${at}.devices[${n}]`));
  return { id, mappings, env: env as Record<string, string>, nvidia: false };
}

function readMapping(m: unknown, at: string): DeviceMapping {
  const match = typeof m === "string" ? /^(\/[^:]*)(?::(\/[^:]*))?(?::([rwm]+))?$/.exec(m) : null;
  const [, hostPath = "", containerPath = hostPath, permissions = "rwm"] = match ?? [];
  if (!match) throw new DeviceListError(`${at}: not HOST_PATH[:CONTAINER_PATH[:rwm]]`);
  return { hostPath, containerPath, permissions };
}

function isObject(x: unknown): x is Record<string, unknown> {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}

/** Those of the later lists stand for those of the earlier. */
export function capacityOf(inventory: DeviceInventory): Record<string, string> {
  return Object.fromEntries(Object.entries(inventory).map(([resource, devices]) => [resource, String(devices.length)]));
}

/** What a container that holds these ids is given. Ids that are no longer there give nothing. */
export function handOver(
  inventory: DeviceInventory,
  allocated: ContainerDevices["allocated"],
): AllocatedDevices | undefined {
  const held = Object.entries(allocated).flatMap(([resource, ids]) =>
    (inventory[resource] ?? []).filter((d) => ids.includes(d.id)),
  );
  if (held.length === 0) return undefined;
  const env = new Map<string, string>();
  for (const d of held) {
    for (const [name, value] of Object.entries(d.env)) {
      const before = env.get(name);
      env.set(name, before === undefined ? value : `${before},${value}`);
    }
  }
  const mappings = new Map(held.flatMap((d) => d.mappings).map((m) => [m.containerPath, m]));
  const nvidia = held.filter((d) => d.nvidia).map((d) => d.id);
  return {
    allocated,
    mappings: [...mappings.values()],
    env: [...env].map(([name, value]) => ({ name, value })),
    ...(nvidia.length > 0 && { nvidia }),
  };
}
