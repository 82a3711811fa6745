/** What a Pod asks of the node and how the runtime is told. Pure. */
import { isRestartableInit, qosClass } from "../api/pod.ts";
import { bytes, cpuMilli } from "../api/quantity.ts";
import { isHugePages } from "../api/validation/resources.ts";
import { type ContainerResources, CPU_PERIOD } from "../runtime/resources.ts";
import { ConfigError } from "./env.ts";
import { type Container, containersOf, initContainersOf, type Pod } from "./facts.ts";

/** The kernel's own bounds. */
const [MIN_SHARES, MAX_SHARES] = [2, 262_144];
const MIN_QUOTA = 1_000;
/** From here on a Pod belongs to the node itself. */
const NODE_CRITICAL = 2_000_001_000;
const GUARANTEED_SCORE = -997;
const BEST_EFFORT_SCORE = 1_000;

export interface ResourceLimits {
  /** Of the node, in bytes. */
  readonly nodeMemory: number;
  /** Processes and threads of one container. */
  readonly pids?: number;
}

/** As the kubelet: a request is a weight, a limit is a limit; what a container leaves open, its Pod's limit bounds. */
export function containerResources(pod: Pod, c: Container, l: ResourceLimits): ContainerResources {
  const { limits, requests } = c.resources ?? {};
  const common = pod.spec?.resources?.limits;
  const cpuLimit = positive(limits?.["cpu"]) ?? positive(common?.["cpu"]);
  const memory = positive(limits?.["memory"]) ?? positive(common?.["memory"]);
  return {
    cpuShares: sharesOf(cpuMilli(requests?.["cpu"] ?? cpuLimit ?? "0")),
    ...(cpuLimit !== undefined && { cpuQuota: quotaOf(cpuMilli(cpuLimit)) }),
    ...(memory !== undefined && { memoryBytes: bytes(memory) }),
    ...(l.pids !== undefined && { pids: l.pids }),
    oomScoreAdj: oomScore(pod, c, l.nodeMemory),
  };
}

/** Docker has no limit for them, and without one a container could take those of others. Throws {@link ConfigError}. */
export function refuseHugePages(c: Container): void {
  const asked = Object.entries(c.resources?.limits ?? {}).find(([name, q]) => isHugePages(name) && bytes(q) > 0);
  if (asked) throw new ConfigError(`${asked[0]} cannot be limited by Docker: container ${c.name} is not started`);
}

/** Limits of the Pod as a whole that its containers could exceed together; undefined: none. */
export function unsummedLimits(pod: Pod): string | undefined {
  const names = Object.keys(pod.spec?.resources?.limits ?? {}).filter((n) => n === "cpu" || n === "memory");
  const long = [...containersOf(pod), ...initContainersOf(pod).filter(isRestartableInit)];
  if (names.length === 0 || long.length < 2) return undefined;
  return `spec.resources.limits (${names.join(", ")}) bound each container by itself, not all of them together`;
}

/** Zero says the same as nothing. */
function positive(quantity: string | undefined): string | undefined {
  return quantity === undefined || bytes(quantity) <= 0 ? undefined : quantity;
}

export function sharesOf(milli: number): number {
  return Math.min(MAX_SHARES, Math.max(MIN_SHARES, Math.floor((milli * 1024) / 1000)));
}

export function quotaOf(milli: number): number {
  return Math.max(MIN_QUOTA, Math.floor((milli * CPU_PERIOD) / 1000));
}

/** Who dies first when the node runs out of memory: BestEffort, then Burstable by its share, Guaranteed last. */
function oomScore(pod: Pod, c: Container, nodeMemory: number): number {
  if ((pod.spec?.priority ?? 0) >= NODE_CRITICAL) return GUARANTEED_SCORE;
  const qos = qosClass(pod);
  if (qos === "Guaranteed") return GUARANTEED_SCORE;
  if (qos === "BestEffort") return BEST_EFFORT_SCORE;
  const spare = spareRequest(pod);
  const own = score(memoryRequest(c) + spare, nodeMemory);
  // A sidecar lives as long as those it serves.
  const least = Math.min(...containersOf(pod).map(memoryRequest)) + spare;
  const adjusted = isSidecar(pod, c) ? Math.min(own, score(least, nodeMemory)) : own;
  return Math.min(BEST_EFFORT_SCORE - 1, Math.max(BEST_EFFORT_SCORE + GUARANTEED_SCORE, adjusted));
}

const score = (request: number, nodeMemory: number) => 1000 - Math.floor((1000 * request) / Math.max(1, nodeMemory));

const memoryRequest = (c: Container) => bytes(c.resources?.requests?.["memory"] ?? "0");

const isSidecar = (pod: Pod, c: Container) => initContainersOf(pod).includes(c) && isRestartableInit(c);

/** What the Pod as a whole asks for beyond its containers, shared out among them. */
function spareRequest(pod: Pod): number {
  const whole = pod.spec?.resources?.requests?.["memory"];
  if (whole === undefined) return 0;
  const long = [...containersOf(pod), ...initContainersOf(pod).filter(isRestartableInit)];
  const asked = long.reduce((sum, c) => sum + memoryRequest(c), 0);
  return Math.max(0, Math.floor((bytes(whole) - asked) / Math.max(1, long.length)));
}
