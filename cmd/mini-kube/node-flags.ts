/** What the owner of a machine says of its resources: flags of `up`, in the kubelet's words where it has the flag, too. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { AgentOptions } from "../../pkg/agent/agent.ts";
import { DeviceListError, parseDeviceList } from "../../pkg/agent/devices/devices.ts";
import { evictionSettings, ThresholdError } from "../../pkg/agent/eviction/thresholds.ts";
import { dnsSubdomain } from "../../pkg/api/names.ts";
import { addQuantities, formatQuantity, isQuantity, parseQuantity } from "../../pkg/api/quantity.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import { IMAGE_FLAGS, type ImageSettings, imageSettings } from "./image-flags.ts";

/** Name, what it takes, what it is for. */
const FLAGS = {
  deviceList: [
    "--device-list <file>",
    "devices of this machine for Pods, as JSON: by resource name, each with id, devices, env",
  ],
  evictionHard: [
    "--eviction-hard <thresholds>",
    "Pods go at once below these (default: memory.available<100Mi,nodefs.available<10%,…)",
  ],
  evictionSoft: ["--eviction-soft <thresholds>", "Pods go when it has been below these for the grace period"],
  evictionSoftGracePeriod: ["--eviction-soft-grace-period <times>", "memory.available=1m30s,…"],
  evictionMinimumReclaim: ["--eviction-minimum-reclaim <amounts>", "so much more must be free before it is enough"],
  evictionPressureTransitionPeriod: [
    "--eviction-pressure-transition-period <seconds>",
    "so long a pressure is shown after its end (default: 300)",
  ],
  evictionMaxPodGracePeriod: [
    "--eviction-max-pod-grace-period <seconds>",
    "at most, for Pods that go by a soft threshold (default: 0)",
  ],
  kubeReserved: ["--kube-reserved <resources>", "kept for the cluster's own programs: cpu=200m,memory=500Mi"],
  systemReserved: ["--system-reserved <resources>", "kept for the rest of the machine"],
  podMaxPids: ["--pod-max-pids <number>", "processes and threads of one container (default: 4096; -1: no limit)"],
  clusterDomain: ["--cluster-domain <domain>", "the names of Services end in it (default: cluster.local)"],
  podManifestPath: ["--pod-manifest-path <dir>", "Pods that run on this machine whatever the API says, one file each"],
  ...IMAGE_FLAGS,
} as const;

export type NodeFlags = { readonly [K in keyof typeof FLAGS]?: string | undefined };

export type NodeSettings = Pick<
  AgentOptions,
  "clusterDomain" | "devices" | "eviction" | "reserved" | "podPidsLimit" | "staticPodsDir"
> &
  ImageSettings;

const KEYS = Object.keys(FLAGS) as readonly (keyof typeof FLAGS)[];

export function defineNodeFlags(define: (flag: string, help: string) => void): void {
  for (const key of KEYS) {
    const [flag, help] = FLAGS[key];
    define(flag, help);
  }
}

/** The same words again, for the process that goes on in the background. */
export function nodeFlagsAgain(o: NodeFlags): string[] {
  return KEYS.flatMap((key) => {
    const [name = ""] = FLAGS[key][0].split(" ");
    const value = o[key];
    return value === undefined ? [] : [name, value];
  });
}

/** Throws UsageError for what makes no sense. */
export function nodeSettings(o: NodeFlags): NodeSettings {
  const pids = wholeNumber("--pod-max-pids", o.podMaxPids);
  return {
    ...(o.deviceList !== undefined && { devices: readDeviceList(o.deviceList) }),
    eviction: eviction(o),
    reserved: total(resources("--kube-reserved", o.kubeReserved), resources("--system-reserved", o.systemReserved)),
    ...(pids !== undefined && { podPidsLimit: pids }),
    ...(o.clusterDomain !== undefined && { clusterDomain: domain(o.clusterDomain) }),
    ...(o.podManifestPath !== undefined && { staticPodsDir: resolve(o.podManifestPath) }),
    ...imageSettings(o),
  };
}

function readDeviceList(file: string): NonNullable<NodeSettings["devices"]> {
  try {
    return parseDeviceList(readFileSync(file, "utf8"));
  } catch (error) {
    if (error instanceof DeviceListError || (error instanceof Error && "code" in error))
      throw new UsageError(`--device-list ${file}: ${error.message}`);
    throw error;
  }
}

function eviction(o: NodeFlags): NonNullable<NodeSettings["eviction"]> {
  try {
    return evictionSettings({
      hard: o.evictionHard,
      soft: o.evictionSoft,
      softGracePeriod: o.evictionSoftGracePeriod,
      minimumReclaim: o.evictionMinimumReclaim,
      pressureTransitionPeriod: wholeNumber(
        "--eviction-pressure-transition-period",
        o.evictionPressureTransitionPeriod,
      ),
      maxPodGracePeriod: wholeNumber("--eviction-max-pod-grace-period", o.evictionMaxPodGracePeriod),
    });
  } catch (error) {
    if (error instanceof ThresholdError) throw new UsageError(error.message);
    throw error;
  }
}

function domain(text: string): string {
  const name = text.toLowerCase().replace(/\.$/, "");
  const [why] = dnsSubdomain(name);
  if (why !== undefined) throw new UsageError(`--cluster-domain ${text}: ${why}`);
  return name;
}

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const n = Number(text.replace(/s$/, ""));
  if (!Number.isInteger(n) || n < -1) throw new UsageError(`${flag} ${text}: a whole number is needed`);
  return n;
}

const RESERVABLE: readonly string[] = ["cpu", "memory", "ephemeral-storage", "pid"];

function resources(flag: string, text: string | undefined): Record<string, string> {
  const parts = (text ?? "").split(",").filter((part) => part.trim() !== "");
  return Object.fromEntries(
    parts.map((part) => {
      const [name = "", quantity = ""] = part.split("=").map((s) => s.trim());
      if (!RESERVABLE.includes(name) || !isQuantity(quantity))
        throw new UsageError(`${flag} ${part}: name=quantity is needed, of ${RESERVABLE.join(", ")}`);
      return [name, quantity];
    }),
  );
}

function total(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): Record<string, string> {
  const sum = (name: string) =>
    formatQuantity(addQuantities(parseQuantity(a[name] ?? "0"), parseQuantity(b[name] ?? "0")));
  return Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => [name, sum(name)]));
}
