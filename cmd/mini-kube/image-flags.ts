/** What the owner of a machine says of its images and of what dead Pods have said; a part of node-flags.ts. */
import type { AgentOptions } from "../../pkg/agent/agent.ts";
import { IMAGE_GC_DEFAULTS } from "../../pkg/agent/image-gc/plan.ts";
import { UsageError } from "../../pkg/cli/io.ts";

export const IMAGE_FLAGS = {
  imageGcHighThreshold: [
    "--image-gc-high-threshold <percent>",
    "from here on, pulled images that nobody uses go (default: 85; 100: never)",
  ],
  imageGcLowThreshold: ["--image-gc-low-threshold <percent>", "so full may the disk be then (default: 80)"],
  minimumImageTtlDuration: ["--minimum-image-ttl-duration <seconds>", "no image goes sooner (default: 120)"],
  imageMaximumGcAge: ["--image-maximum-gc-age <seconds>", "unused for so long, an image goes (default: 0: never)"],
  imagePullProgressDeadline: [
    "--image-pull-progress-deadline <seconds>",
    "a pull that brings nothing for so long is given up (default: 60)",
  ],
  maxParallelImagePulls: ["--max-parallel-image-pulls <number>", "images pulled at once (default: 3)"],
  keptLogsAge: ["--kept-logs-age <hours>", "so long the logs of Pods that are gone are kept (default: 24)"],
  keptLogsSize: ["--kept-logs-size <MiB>", "so much of them on this node (default: 256; 0: none)"],
} as const;

export type ImageFlags = { readonly [K in keyof typeof IMAGE_FLAGS]?: string | undefined };

export type ImageSettings = Pick<AgentOptions, "imageGc" | "keptLogs" | "parallelPulls" | "pullProgressMs">;

/** Throws UsageError for what makes no sense. */
export function imageSettings(o: ImageFlags): ImageSettings {
  const given = (key: keyof ImageFlags, bounds: { max?: number; scale?: number; min?: number }) =>
    numberOf(key, o[key], bounds);
  const high = given("imageGcHighThreshold", { max: 100 });
  const low = given("imageGcLowThreshold", { max: 100 });
  if ((low ?? IMAGE_GC_DEFAULTS.lowPercent) >= (high ?? IMAGE_GC_DEFAULTS.highPercent))
    throw new UsageError("--image-gc-low-threshold must be less than --image-gc-high-threshold");
  const minimumAgeMs = given("minimumImageTtlDuration", { scale: 1000 });
  const maximumAgeMs = given("imageMaximumGcAge", { scale: 1000 });
  const maxAgeMs = given("keptLogsAge", { scale: 3_600_000 });
  const maxBytes = given("keptLogsSize", { scale: 2 ** 20 });
  const parallelPulls = given("maxParallelImagePulls", { min: 1 });
  const pullProgressMs = given("imagePullProgressDeadline", { min: 1, scale: 1000 });
  return {
    imageGc: defined({ highPercent: high, lowPercent: low, minimumAgeMs, maximumAgeMs }),
    keptLogs: defined({ maxAgeMs, maxBytes }),
    ...defined({ parallelPulls, pullProgressMs }),
  };
}

function numberOf(
  key: keyof typeof IMAGE_FLAGS,
  text: string | undefined,
  { max = Number.MAX_SAFE_INTEGER, min = 0, scale = 1 },
): number | undefined {
  if (text === undefined) return undefined;
  const n = /^\d+s?$/.test(text) ? Number(text.replace("s", "")) : NaN;
  if (n >= min && n <= max) return n * scale;
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new UsageError(`${IMAGE_FLAGS[key][0].split(" ")[0]} ${text}: a whole number ${bounds} is needed`);
}

function defined<K extends string>(o: Readonly<Record<K, number | undefined>>): { [P in K]?: number } {
  return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)) as { [P in K]?: number };
}
