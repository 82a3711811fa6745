/** Finds the devices of this machine: NVIDIA's GPUs by their own tool, else by their device nodes. */
import { execFile } from "node:child_process";
import { access, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { Device, DeviceInventory } from "./devices.ts";

export const NVIDIA_GPU = "nvidia.com/gpu";

/** A driver that hangs must not hold up the node. */
const TOOL_LIMIT_MS = 5_000;
/** Docker's own NVIDIA driver needs it. */
const HOOK = "nvidia-container-runtime-hook";
/** Every GPU needs them beside its own node. */
const COMMON = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"];

export interface Machine {
  /** Output of `nvidia-smi -L`; undefined where there is no such tool, or it fails. */
  readonly nvidiaSmi: string | undefined;
  /** Names in /dev. */
  readonly dev: readonly string[];
  /** Docker can be asked for GPUs by their ids. */
  readonly hasHook: boolean;
}

export async function discoverDevices(path: string | undefined): Promise<DeviceInventory> {
  const dev = await readdir("/dev").catch(() => []);
  if (!dev.some((name) => /^nvidia\d+$/.test(name))) return {};
  const [nvidiaSmi, hasHook] = await Promise.all([askTool(), isOnPath(HOOK, path)]);
  return nvidiaDevices({ nvidiaSmi, dev, hasHook });
}

/** Pure. */
export function nvidiaDevices(m: Machine): DeviceInventory {
  const numbers = m.dev.flatMap((name) => /^nvidia(\d+)$/.exec(name)?.[1] ?? []).toSorted((a, b) => +a - +b);
  const uuids = new Map(
    [...(m.nvidiaSmi ?? "").matchAll(/^GPU (\d+): .*\(UUID: ([^)]+)\)/gm)].map(([, n = "", uuid = ""]) => [n, uuid]),
  );
  const common = COMMON.filter((path) => m.dev.includes(path.slice("/dev/".length)));
  const devices = numbers.map((n): Device => {
    const id = uuids.get(n) ?? `nvidia${n}`;
    const nvidia = m.hasHook && uuids.has(n);
    const paths = nvidia ? [] : [`/dev/nvidia${n}`, ...common];
    return { id, mappings: paths.map(mapping), env: { NVIDIA_VISIBLE_DEVICES: uuids.get(n) ?? n }, nvidia };
  });
  return devices.length > 0 ? { [NVIDIA_GPU]: devices } : {};
}

const mapping = (path: string) => ({ hostPath: path, containerPath: path, permissions: "rw" });

function askTool(): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("nvidia-smi", ["-L"], { timeout: TOOL_LIMIT_MS }, (error, stdout) => resolve(error ? undefined : stdout));
  });
}

async function isOnPath(program: string, path = ""): Promise<boolean> {
  const places = await Promise.all(
    path.split(delimiter).map((dir) =>
      access(join(dir, program)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return places.includes(true);
}
