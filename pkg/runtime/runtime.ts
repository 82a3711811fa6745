/**
 * What a container runtime must do. Adapters: docker/ (the real one) and fake.ts (scripted by the Pod itself).
 *
 * Invariants (checked for every adapter by conformance.ts):
 *  R1  The runtime is the agent's only memory: listPods tells everything about what this node runs for us, from labels on
 *      containers, also to an agent that has just started. Containers without our labels do not exist for us.
 *  R2  Verbs are idempotent: creating what exists returns it, stopping or removing what is gone succeeds.
 *  R3  `events` is a hint that a Pod's containers changed; it may repeat and, after an error, lose. It never blocks a verb.
 *      What was hinted at, getPod and listPods of the same object tell from then on.
 *  R4  Every verb ends by its signal: a promise rejects with the signal's reason, an iteration just ends. All other failures
 *      are RuntimeError with a reason, retryable or not.
 *  R5  A container's exit code, times and OOM flag are kept until removeContainer.
 */
import type { Duplex } from "node:stream";
import type { InterfaceCount } from "../util/net-dev.ts";
import type { ContainerDevices, ContainerResources, DeviceIds, DeviceMapping, LiveResources } from "./resources.ts";
import type { ImageVerbs } from "./images.ts";
import type { ContainerSecurity, MemoryMount, MemoryVolume, Mount } from "./isolation.ts";

export type ContainerState = "created" | "running" | "exited";

export interface RuntimeContainer {
  /** Docker's id. */
  readonly id: string;
  /** The container's name in the Pod spec. */
  readonly name: string;
  /** 0 for the first, one more for each restart. */
  readonly attempt: number;
  readonly state: ContainerState;
  /** As in the spec. */
  readonly image: string;
  /** `sha256:…` or the repo digest, as `imageID` in the status. */
  readonly imageId: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly startedAt?: number;
  /** For a container that could not be started: its creation. */
  readonly finishedAt?: number;
  readonly exitCode?: number;
  readonly oomKilled?: boolean;
  /** Why it never ran (exec format error, command not found …). */
  readonly error?: string;
  /** Hash of the container's spec when it was created: a changed spec means a new container. */
  readonly specHash: string;
  /** What it may use at present; absent where that was not looked for. */
  readonly resources?: LiveResources;
  readonly devices?: DeviceIds;
}

export interface RuntimePod {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly sandbox?: {
    readonly id: string;
    readonly state: ContainerState;
    readonly ip?: string;
    readonly createdAt: number;
    readonly attempt: number;
  };
  /** All attempts that still exist, newest first per name. */
  readonly containers: readonly RuntimeContainer[];
}

export interface SandboxConfig {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly attempt: number;
  readonly hostname: string;
  readonly hostNetwork: boolean;
  /** Which of the runtime's own runtimes; absent: its usual one. */
  readonly runtimeHandler?: string;
  /** Its address in the network of Pods, for as long as it exists. Absent: the runtime chooses. */
  readonly ip?: string;
  readonly ports: readonly PortMapping[];
  readonly shareProcessNamespace: boolean;
  readonly hostIPC?: boolean;
  /** Of the kernel, for the namespaces of this Pod. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Held for the Pod's containers. */
  readonly memoryVolumes?: readonly MemoryVolume[];
}

/** A network of the Pods on this node. */
export interface PodNetwork {
  /** Of the network and of its bridge: at most 15 characters. */
  readonly name: string;
  /** `10.244.1.0/24` */
  readonly subnet: string;
  /** The bridge's own address. */
  readonly gateway: string;
  readonly mtu: number;
  /** The runtime itself hides the Pods behind the node's address. False: somebody else does where it is due. */
  readonly masquerade: boolean;
}

export interface PortMapping {
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIP?: string;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

export interface ContainerConfig {
  readonly podUid: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly sandboxId: string;
  /** As its sandbox's. */
  readonly runtimeHandler?: string;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  /** Overrides the image's ENTRYPOINT / CMD; absent: the image's. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly workingDir?: string;
  readonly mounts: readonly Mount[];
  /** Of volumes that the sandbox holds. */
  readonly memoryMounts?: readonly MemoryMount[];
  readonly resources: ContainerResources;
  readonly devices?: ContainerDevices;
  /** Volumes that are devices. */
  readonly blockDevices?: readonly DeviceMapping[];
  readonly security: ContainerSecurity;
  /** Sees the other containers' processes, as the sandbox was told. */
  readonly shareProcessNamespace?: boolean;
  readonly hostIPC?: boolean;
  readonly hostPID?: boolean;
  /** A container whose processes this one sees, among which its own are. */
  readonly targetId?: string;
  /** As `SIGUSR1`; absent: the image's own, or SIGTERM. */
  readonly stopSignal?: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Stdin is closed when the first client that was attached to it has ended its own. */
  readonly stdinOnce?: boolean;
  readonly specHash: string;
}

export interface LogOptions {
  readonly follow?: boolean;
  /** Lines from the end. */
  readonly tail?: number;
  /** Milliseconds since the epoch. */
  readonly since?: number;
  readonly timestamps?: boolean;
}

export type LogChunk = { readonly stream: "stdout" | "stderr"; readonly data: Uint8Array };

export interface ExecOptions {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
}

/** A process in a container with its streams. `write`/`end` are stdin; reading ends when the process has closed its output. */
export interface ExecSession {
  /** Resolves when the process can be given more: wait for it, and nothing piles up in memory. */
  write(data: Uint8Array): Promise<void>;
  end(): void;
  resize(size: { width: number; height: number }): Promise<void>;
  readonly output: AsyncIterable<LogChunk>;
  /** The exit code, after the output has ended. */
  readonly exitCode: Promise<number>;
  close(): void;
}

/** What a container has used. */
export interface Usage {
  /** Cumulative. */
  readonly cpuNanoseconds: number;
  readonly memoryUsageBytes: number;
  /** What the kernel could not take back at once: usage without the inactive page cache. */
  readonly memoryWorkingSetBytes: number;
  /** Anonymous memory. */
  readonly memoryRssBytes: number;
  /** And threads. */
  readonly processes?: number;
  /** Of its Pod, by interface; absent on the node's own network, or where that cannot be told. */
  readonly network?: readonly NetworkUsage[];
}

/** Cumulative. */
export type NetworkUsage = InterfaceCount;

export interface ContainerStats extends Usage {
  /** Of the container: another attempt counts anew. */
  readonly id: string;
  readonly podUid: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly name: string;
  /** When it was read, in milliseconds since the epoch. */
  readonly at: number;
}

export interface RuntimeInfo {
  /** `docker://28.2.2` */
  readonly version: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly operatingSystem: string;
  readonly architecture: string;
  /** Profiles of AppArmor can be enforced. */
  readonly appArmor?: boolean;
  /** Mounts can be read-only with all that is mounted below them. */
  readonly recursiveReadOnly?: boolean;
  /** Where images and containers are kept, on the runtime's own machine. */
  readonly imageDir?: string;
}

export interface ContainerRuntime extends ImageVerbs {
  info(signal: AbortSignal): Promise<RuntimeInfo>;
  listPods(signal: AbortSignal): Promise<readonly RuntimePod[]>;
  /** One Pod, cheaper than listing all; undefined when nothing of it exists. */
  getPod(uid: string, signal: AbortSignal): Promise<RuntimePod | undefined>;
  /**
   * Tells of everything from the moment of this call on (call it, then list: nothing falls between), as soon as it is
   * iterated. Ends without error on abort; rejects when the connection breaks: call again, then list.
   */
  events(signal: AbortSignal): AsyncIterable<{ readonly podUid: string }>;
  /**
   * From now on sandboxes join this network. Idempotent; one of that name with another subnet makes way for it, with the
   * sandboxes in it.
   */
  ensureNetwork(n: PodNetwork, signal: AbortSignal): Promise<void>;
  /** With whatever is still in it. */
  removeNetwork(name: string, signal: AbortSignal): Promise<void>;
  /** Created, not yet started: containers may be created beside it meanwhile. */
  createSandbox(c: SandboxConfig, signal: AbortSignal): Promise<{ id: string }>;
  /** Idempotent. Gives the Pod's address. */
  startSandbox(id: string, signal: AbortSignal): Promise<{ ip?: string }>;
  removeSandbox(id: string, signal: AbortSignal): Promise<void>;
  /** In memory, of a Pod, or of all Pods of this node; what a container still holds stays. */
  removeMemoryVolumes(podUid: string | undefined, signal: AbortSignal): Promise<void>;
  createContainer(c: ContainerConfig, signal: AbortSignal): Promise<{ id: string }>;
  startContainer(id: string, signal: AbortSignal): Promise<void>;
  /** TERM, then after `graceSeconds` KILL. Resolves when it has exited. */
  stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void>;
  removeContainer(id: string, signal: AbortSignal): Promise<void>;
  /** Bytes that a container has written beside its volumes; undefined when it is gone. The runtime may have to count. */
  writableSize(id: string, signal: AbortSignal): Promise<number | undefined>;
  /** While it runs. Refuses to take away memory that is in use. */
  updateContainer(id: string, r: LiveResources, signal: AbortSignal): Promise<void>;
  logs(id: string, o: LogOptions, signal: AbortSignal): AsyncIterable<LogChunk>;
  /** Bytes that a container's log takes on disk; undefined where that cannot be seen. Costs no call to the runtime. */
  logSize(id: string): Promise<number | undefined>;
  exec(id: string, o: ExecOptions, signal: AbortSignal): Promise<ExecSession>;
  attach(id: string, o: { stdin: boolean; tty: boolean }, signal: AbortSignal): Promise<ExecSession>;
  /**
   * A connection to a TCP port of the sandbox, to whatever listens there: on the Pod's address or on its localhost. The
   * signal ends it. Rejects with a RuntimeError when nobody listens.
   */
  connectPort(sandboxId: string, port: number, signal: AbortSignal): Promise<Duplex>;
  /** Of every running container. */
  stats(signal: AbortSignal): Promise<readonly ContainerStats[]>;
}

export type RuntimeErrorReason =
  | "InvalidImageName"
  | "ErrImagePull"
  | "ErrImageNeverPull"
  | "CreateContainerConfigError"
  | "CreateContainerError"
  | "RunContainerError"
  | "NotFound"
  /** The daemon does not answer. */
  | "RuntimeUnavailable"
  | "RuntimeError";

export class RuntimeError extends Error {
  readonly reason: RuntimeErrorReason;
  readonly retryable: boolean;
  constructor(reason: RuntimeErrorReason, message: string, o: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, { cause: o.cause });
    this.reason = reason;
    this.retryable = o.retryable ?? true;
  }
}
