/** The Node object, from what was measured. Pure. */
import type { ContainerImage, Node, NodeCondition, NodeStatus, Taint } from "../api/generated/types.ts";
import { canonicalQuantity } from "../api/quantity.ts";
import { isExtended } from "../api/validation/resources.ts";
import { VOLUMES_DIRECTORY } from "../api/volumes.ts";
import type { ImageInfo } from "../runtime/images.ts";
import type { RuntimeInfo } from "../runtime/runtime.ts";
import { rfc3339 } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";

export interface Measurement {
  /** Of the file system that holds the agent's data. Bytes. */
  readonly diskTotal: number;
  readonly diskAvailable: number;
  readonly memoryAvailable: number;
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
  /** NetworkUnavailable; undefined: not known yet, or nobody's business. */
  readonly network?: Pick<NodeCondition, "status" | "reason" | "message"> | undefined;
}

/** As the kubelet's defaults: nodefs.available<10%, memory.available<100Mi. */
const DISK_LOW = 0.1;
const MEMORY_LOW_BYTES = 100 * 2 ** 20;
/** The kubelet reports as many. */
const MAX_IMAGES = 50;

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

/** What Pods may use: all of it, for the agent and the daemon are small. */
export function nodeResources(o: NodeOptions, f: Pick<NodeFacts, "info" | "measured">): Record<string, string> {
  const resources = {
    cpu: String(f.info?.cpus ?? 0),
    memory: `${Math.floor((f.info?.memoryBytes ?? 0) / 1024)}Ki`,
    "ephemeral-storage": `${Math.floor(f.measured.diskTotal / 1024)}Ki`,
    pods: String(o.maxPods),
    ...o.extendedResources,
  };
  // As the server writes them, or every heartbeat would look like a change.
  return Object.fromEntries(Object.entries(resources).map(([name, q]) => [name, canonicalQuantity(q)]));
}

export function nodeStatus(
  o: NodeOptions,
  f: NodeFacts,
  old: DeepReadonly<NodeStatus> | undefined,
  now: number,
): NodeStatus {
  const resources = nodeResources(o, f);
  return {
    ...(old as NodeStatus | undefined),
    addresses: [
      { type: "InternalIP", address: o.address },
      { type: "Hostname", address: o.nodeName },
    ],
    capacity: { ...othersResources(old?.capacity), ...resources },
    allocatable: { ...othersResources(old?.allocatable), ...resources },
    conditions: conditions(f, old?.conditions ?? [], now),
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
  const { diskTotal, diskAvailable, memoryAvailable } = f.measured;
  const own: Readonly<Record<string, Verdict>> = {
    MemoryPressure:
      memoryAvailable < MEMORY_LOW_BYTES
        ? yes("KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
        : no("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    DiskPressure:
      diskAvailable < diskTotal * DISK_LOW
        ? yes("KubeletHasDiskPressure", "kubelet has disk pressure")
        : no("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    PIDPressure: no("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
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
    .map((i) => ({ names: [...i.names], sizeBytes: i.sizeBytes }));
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
