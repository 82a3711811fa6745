/** When a node counts as short of something. Pure. */
import { parseQuantity, wholeValue } from "../../api/quantity.ts";

export const SIGNALS = {
  "memory.available": { condition: "MemoryPressure", resource: "memory" },
  "nodefs.available": { condition: "DiskPressure", resource: "ephemeral-storage" },
  "nodefs.inodesFree": { condition: "DiskPressure", resource: "inodes" },
  "imagefs.available": { condition: "DiskPressure", resource: "ephemeral-storage" },
  "imagefs.inodesFree": { condition: "DiskPressure", resource: "inodes" },
  "pid.available": { condition: "PIDPressure", resource: "pids" },
} as const;

export type Signal = keyof typeof SIGNALS;
export type Pressure = (typeof SIGNALS)[Signal]["condition"];
export type StarvedResource = (typeof SIGNALS)[Signal]["resource"];

/** `10%` of what there is, or `100Mi`. */
export type Amount = { readonly fraction: number } | { readonly units: number };

export interface Threshold {
  readonly signal: Signal;
  /** Less than this is too little. */
  readonly value: Amount;
  /** 0: hard, Pods go at once; else they go when it has lasted this long, and get time to end. */
  readonly graceMs: number;
  /** So much more must be free before it is over. */
  readonly minReclaim?: Amount;
}

export interface EvictionSettings {
  readonly thresholds: readonly Threshold[];
  /** A pressure that is over is shown for so long, or the node would flicker. */
  readonly transitionMs: number;
  /** At most, where a soft threshold was crossed. */
  readonly maxPodGraceSeconds: number;
  /** Between two looks. Default: 10 s, the kubelet's. */
  readonly lookMs?: number;
}

/** As flags: `memory.available<100Mi,nodefs.available<10%`. */
export interface EvictionFlags {
  readonly hard?: string | undefined;
  readonly soft?: string | undefined;
  /** `memory.available=1m30s` */
  readonly softGracePeriod?: string | undefined;
  readonly minimumReclaim?: string | undefined;
  /** In seconds. */
  readonly pressureTransitionPeriod?: number | undefined;
  /** In seconds. */
  readonly maxPodGracePeriod?: number | undefined;
}

/** The kubelet's own. */
export const DEFAULT_HARD =
  "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%";

export class ThresholdError extends Error {}

/** Throws {@link ThresholdError}, with the flag at fault. */
export function evictionSettings(f: EvictionFlags = {}): EvictionSettings {
  const grace = pairs("eviction-soft-grace-period", f.softGracePeriod, "=", duration);
  const reclaim = pairs("eviction-minimum-reclaim", f.minimumReclaim, "=", amount);
  const read = (flag: string, text: string | undefined, graceOf: (s: Signal) => number) =>
    [...pairs(flag, text, "<", amount)].map(([signal, value]): Threshold => {
      const minReclaim = reclaim.get(signal);
      return { signal, value, graceMs: graceOf(signal), ...(minReclaim && { minReclaim }) };
    });
  const soft = read("eviction-soft", f.soft, (signal) => {
    const ms = grace.get(signal);
    if (ms === undefined)
      throw new ThresholdError(`grace period must be specified for the soft eviction threshold ${signal}`);
    return ms;
  });
  return {
    thresholds: [...read("eviction-hard", f.hard ?? DEFAULT_HARD, () => 0), ...soft],
    transitionMs: (f.pressureTransitionPeriod ?? 300) * 1000,
    maxPodGraceSeconds: f.maxPodGracePeriod ?? 0,
  };
}

function pairs<T>(
  flag: string,
  text: string | undefined,
  operator: "<" | "=",
  read: (value: string) => T | undefined,
): Map<Signal, T> {
  const parts = (text ?? "")
    .split(",")
    .map((s) => s.trim())
    .filter((s) => s !== "");
  return new Map(
    parts.map((part) => {
      const [signal = "", value = ""] = part.split(operator).map((s) => s.trim());
      if (!isSignal(signal)) throw new ThresholdError(`--${flag}: unknown signal "${signal}"`);
      const found = read(value);
      if (found === undefined) throw new ThresholdError(`--${flag}: "${value}" is no value for ${signal}`);
      return [signal, found];
    }),
  );
}

const isSignal = (name: string): name is Signal => Object.hasOwn(SIGNALS, name);

function amount(text: string): Amount | undefined {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined) return Number(percent) <= 100 ? { fraction: Number(percent) / 100 } : undefined;
  try {
    return parseQuantity(text).nano < 0n ? undefined : { units: Number(wholeValue(text)) };
  } catch {
    return undefined;
  }
}

/** `1h2m3s`, `500ms`. */
function duration(text: string): number | undefined {
  const [all, h, m, s, ms] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(text) ?? [];
  if (!all) return undefined;
  return Number(h ?? 0) * 3_600_000 + Number(m ?? 0) * 60_000 + Number(s ?? 0) * 1000 + Number(ms ?? 0);
}

export function unitsOf(a: Amount, capacity: number): number {
  return "units" in a ? a.units : Math.floor(capacity * a.fraction);
}
