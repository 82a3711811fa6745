/** The Node object, from what was measured. Pure. */
import type { ContainerImage, Node, NodeCondition, NodeStatus, Taint } from "../api/generated/types.ts";
import { bytes, canonicalQuantity, formatQuantity, parseQuantity } from "../api/quantity.ts";
import { isExtended } from "../api/validation/resources.ts";
import { VOLUMES_DIRECTORY } from "../api/volumes.ts";
import type { ImageInfo } from "../runtime/images.ts";
import type { RuntimeInfo } from "../runtime/runtime.ts";
import { rfc3339 } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import { type Pressure, type Signal, type Threshold, unitsOf } from "./eviction/thresholds.ts";

/** Bytes. */
export interface FileSystem {
  readonly total: number;
  readonly available: number;
  readonly inodes?: { readonly total: number; readonly free: number };
}

export interface Measurement {
  /** Of the file system that holds the agent's data. Bytes. */
  readonly diskTotal: number;
  readonly diskAvailable: number;
  readonly inodes?: FileSystem["inodes"];
  /** Of images and containers, where they have one of their own. */
  readonly imageDisk?: FileSystem;
  readonly memoryAvailable: number;
  readonly memoryTotal?: number;
  readonly pids?: { readonly max: number; readonly running: number };
  /** Bytes by resource name. */
  readonly hugePages?: Readonly<Record<string, number>>;
  readonly machineId: string;
  readonly bootId: string;
}

export interface NodeOptions {
  readonly nodeName: string;
  readonly address: string;
  /** What its Pods have their addresses of already: a Node that was deleted comes back with it. */
  readonly podCIDR?: string;
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly maxPods: number;
  /** Capacity beyond what is measured: `nvidia.com/gpu: "1"`. */
  readonly extendedResources: Readonly<Record<string, string>>;
  /** Of capacity, kept for what runs beside the Pods. */
  readonly reserved: Readonly<Record<string, string>>;
  /** What a hard one keeps free no Pod can be promised. */
  readonly thresholds: readonly Threshold[];
  readonly version: string;
  /** Where volumes are made that outlive their Pods. */
  readonly volumesDir: string;
}

export interface NodeFacts {
  /** Undefined before the runtime has ever answered. */
  readonly info: RuntimeInfo | undefined;
  readonly images: readonly ImageInfo[];
  readonly measured: Measurement;
  /** Why the runtime does not answer; undefined: it does. */
  readonly runtimeDown: string | undefined;
  readonly pressures: readonly Pressure[];
  /** NetworkUnavailable; undefined: not known yet, or nobody's business. */
  readonly network?: Pick<NodeCondition, "status" | "reason" | "message"> | undefined;
}

/** The kubelet reports as many. */
const MAX_IMAGES = 50;
const MAX_IMAGE_NAMES = 5;

export function newNode(o: NodeOptions, info: RuntimeInfo | undefined): Node {
  return {
    metadata: { name: o.nodeName, labels: nodeLabels(o, info), annotations: nodeAnnotations(o) },
    ...((o.taints.length > 0 || o.podCIDR !== undefined) && {
      spec: {
        ...(o.taints.length > 0 && { taints: [...o.taints] }),
        ...(o.podCIDR !== undefined && { podCIDR: o.podCIDR, podCIDRs: [o.podCIDR] }),
      },
    }),
  };
}

export function nodeLabels(o: NodeOptions, info: RuntimeInfo | undefined): Record<string, string> {
  const os = info?.operatingSystem ?? "linux";
  const arch = goArchitecture(info?.architecture ?? process.arch);
  return {
    "beta.kubernetes.io/arch": arch,
    "beta.kubernetes.io/os": os,
    "kubernetes.io/arch": arch,
    "kubernetes.io/hostname": o.nodeName,
    "kubernetes.io/os": os,
    ...o.labels,
  };
}

/** Who makes volumes on this node learns where. */
export function nodeAnnotations(o: NodeOptions): Record<string, string> {
  return { [VOLUMES_DIRECTORY]: o.volumesDir };
}

/** What there is. */
export function nodeCapacity(o: NodeOptions, f: Pick<NodeFacts, "info" | "measured">): Record<string, string> {
  const resources = {
    cpu: String(f.info?.cpus ?? 0),
    memory: `${Math.floor((f.info?.memoryBytes ?? 0) / 1024)}Ki`,
    "ephemeral-storage": `${Math.floor(f.measured.diskTotal / 1024)}Ki`,
    ...Object.fromEntries(Object.entries(f.measured.hugePages ?? {}).map(([name, n]) => [name, inKi(n)])),
    pods: String(o.maxPods),
    ...o.extendedResources,
  };
  // As the server writes them, or every heartbeat would look like a change.
  return Object.fromEntries(Object.entries(resources).map(([name, q]) => [name, canonicalQuantity(q)]));
}

const inKi = (n: number) => `${Math.floor(n / 1024)}Ki`;

/** What Pods may use: all but what is reserved, and what must stay free lest Pods be evicted. */
export function nodeAllocatable(o: NodeOptions, f: Pick<NodeFacts, "info" | "measured">): Record<string, string> {
  const capacity = nodeCapacity(o, f);
  const free = (signal: Signal, total: string | undefined): bigint => {
    const t = o.thresholds.find((x) => x.signal === signal && x.graceMs === 0);
    return t ? BigInt(unitsOf(t.value, bytes(total ?? "0"))) * NANO : 0n;
  };
  const kept: Readonly<Record<string, bigint>> = {
    memory: free("memory.available", capacity["memory"]),
    "ephemeral-storage": free("nodefs.available", capacity["ephemeral-storage"]),
  };
  return Object.fromEntries(
    Object.entries(capacity).map(([name, q]) => {
      const { nano, format } = parseQuantity(q);
      const left = nano - parseQuantity(o.reserved[name] ?? "0").nano - (kept[name] ?? 0n);
      return [name, formatQuantity({ nano: left > 0n ? left : 0n, format })];
    }),
  );
}

const NANO = 1_000_000_000n;

export function nodeStatus(
  o: NodeOptions,
  f: NodeFacts,
  old: DeepReadonly<NodeStatus> | undefined,
  now: number,
): NodeStatus {
  return {
    ...(old as NodeStatus | undefined),
    addresses: [
      { type: "InternalIP", address: o.address },
      { type: "Hostname", address: o.nodeName },
    ],
    capacity: { ...othersResources(old?.capacity), ...nodeCapacity(o, f) },
    allocatable: { ...othersResources(old?.allocatable), ...nodeAllocatable(o, f) },
    conditions: conditions(f, old?.conditions ?? [], now),
    features: { supplementalGroupsPolicy: false },
    runtimeHandlers: [
      { name: "", features: { recursiveReadOnlyMounts: f.info?.recursiveReadOnly ?? false, userNamespaces: false } },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: o.port } },
    images: imagesOf(f.images),
    nodeInfo: {
      architecture: goArchitecture(f.info?.architecture ?? process.arch),
      bootID: f.measured.bootId,
      containerRuntimeVersion: f.info?.version ?? "",
      kernelVersion: f.info?.kernelVersion ?? "",
      kubeProxyVersion: "",
      kubeletVersion: o.version,
      machineID: f.measured.machineId,
      operatingSystem: f.info?.operatingSystem ?? "linux",
      osImage: f.info?.osImage ?? "",
      systemUUID: f.measured.machineId,
    },
  };
}

/** Extended resources may be announced by others, too (`kubectl patch node … --subresource=status`): they are kept. */
function othersResources(old: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(old).filter(([name]) => isExtended(name)));
}

type Verdict = Pick<NodeCondition, "status" | "reason" | "message">;

function conditions(f: NodeFacts, old: readonly DeepReadonly<NodeCondition>[], now: number): NodeCondition[] {
  const own: Readonly<Record<string, Verdict>> = {
    MemoryPressure: f.pressures.includes("MemoryPressure")
      ? yes("KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
      : no("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    DiskPressure: f.pressures.includes("DiskPressure")
      ? yes("KubeletHasDiskPressure", "kubelet has disk pressure")
      : no("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    PIDPressure: f.pressures.includes("PIDPressure")
      ? yes("KubeletHasInsufficientPID", "kubelet has insufficient PID available")
      : no("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    Ready:
      f.runtimeDown === undefined
        ? yes("KubeletReady", "kubelet is posting ready status")
        : no("ContainerRuntimeDown", f.runtimeDown),
    ...(f.network && { NetworkUnavailable: f.network }),
  };
  const mine = Object.entries(own).map(([type, verdict]): NodeCondition => {
    const before = old.find((c) => c.type === type);
    const since = before?.status === verdict.status ? before.lastTransitionTime : undefined;
    return { type, ...verdict, lastHeartbeatTime: rfc3339(now), lastTransitionTime: since ?? rfc3339(now) };
  });
  return [...old.filter((c) => !(c.type in own)).map((c) => ({ ...c })), ...mine];
}

const yes = (reason: string, message: string): Verdict => ({ status: "True", reason, message });
const no = (reason: string, message: string): Verdict => ({ status: "False", reason, message });

function imagesOf(images: readonly ImageInfo[]): ContainerImage[] {
  return images
    .filter((i) => i.names.length > 0)
    .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
    .slice(0, MAX_IMAGES)
    .map((i) => ({ names: i.names.slice(0, MAX_IMAGE_NAMES), sizeBytes: i.sizeBytes }));
}

/** Docker says x86_64, Node says x64, Kubernetes says amd64. */
function goArchitecture(name: string): string {
  const names: Readonly<Record<string, string>> = { x86_64: "amd64", x64: "amd64", aarch64: "arm64" };
  return names[name] ?? name;
}

/** The same but for the time of the last look. */
export function withoutHeartbeat(s: DeepReadonly<NodeStatus> | undefined): unknown {
  return { ...s, conditions: s?.conditions?.map((c) => ({ ...c, lastHeartbeatTime: "" })) };
}
