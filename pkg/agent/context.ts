/** What all workers of a node share. */
import { pods } from "../api/kinds/core/pod.ts";
import type { ConfigMap, Secret } from "../api/generated/types.ts";
import { configMaps } from "../api/kinds/core/configmap.ts";
import { secrets } from "../api/kinds/core/secret.ts";
import { isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import { type EventSubject, subjectOf } from "../reconcile/events.ts";
import type { ContainerRuntime, RuntimeInfo } from "../runtime/runtime.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { AgentMetrics } from "./agent-metrics.ts";
import type { ConfigSource, Lookup } from "./env.ts";
import type { Pod } from "./facts.ts";
import type { ImageStore } from "./images.ts";
import type { KeptLogs } from "./kept-logs/store.ts";
import type { Limiter } from "./limiter.ts";
import type { NodeNetwork } from "./network.ts";
import type { PodFiles } from "./pod-files.ts";
import type { Room } from "./room.ts";
import type { Tokens } from "./tokens.ts";

/** What of EventRecorder the workers use: never waits, never fails. */
export interface Events {
  event(subject: EventSubject, type: "Normal" | "Warning", reason: string, message: string): void;
}

export interface NodeContext {
  readonly nodeName: string;
  readonly hostIP: string;
  /** Absent: the runtime gives Pods their addresses. */
  readonly network?: Pick<NodeNetwork, "addressFor" | "refused"> | undefined;
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly events: Events;
  readonly images: ImageStore;
  readonly keptLogs: Pick<KeptLogs, "keep">;
  readonly tokens: Tokens;
  /** Pods that may be starting containers at once. */
  readonly starts: Limiter;
  readonly dataDir: string;
  readonly podFiles: Pick<PodFiles, "mounts" | "writeHosts">;
  readonly clusterDomain: string;
  /** The environment that Services make for Pods of a namespace: `links` are all of its own, else the API server's alone. */
  readonly serviceVariables: (namespace: string, links: boolean) => ReadonlyMap<string, string>;
  /** What of the runtime not every one can do. */
  readonly abilities: Pick<RuntimeInfo, "appArmor" | "recursiveReadOnly">;
  /** Bytes. */
  readonly nodeMemory: number;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly metrics: Pick<AgentMetrics, "operation" | "probed" | "status">;
  readonly room: Pick<Room, "admit" | "offer" | "devicesOf" | "left" | "pids">;
  /**
   * Resolves when no traffic comes to this Pod any more, which is being deleted: only then are its containers told to
   * end. Bounded by itself and by the grace period. Absent: nobody sends Pods any traffic.
   */
  readonly drained?: (pod: Pod, signal: AbortSignal) => Promise<void>;
  /**
   * Resolves when the Pod may be started with this address: what keeps traffic from it is in force. Bounded by itself;
   * rejects with why not. Absent: nothing is kept from any Pod.
   */
  readonly guarded?: (pod: Pod, ip: string, signal: AbortSignal) => Promise<void>;
  /** The API object that shows the Pod's status; a Pod from a file of the node may have none yet. */
  readonly shownAs: (pod: Pod) => Pod | undefined;
  /** A verb found the daemon away. */
  readonly runtimeFailed: (error: unknown) => void;
}

export function podEvent(
  ctx: NodeContext,
  pod: Pod | undefined,
  e: { type: "Normal" | "Warning"; reason: string; message: string; container?: string },
): void {
  if (!pod) return;
  const lists = ["initContainers", "ephemeralContainers"] as const;
  const list = lists.find((l) => pod.spec?.[l]?.some((c) => c.name === e.container)) ?? "containers";
  const path = e.container === undefined ? undefined : `spec.${list}{${e.container}}`;
  ctx.events.event(subjectOf(pods, pod, path), e.type, e.reason, e.message);
}

/** Fetches ConfigMaps and Secrets by name; what does not exist is left out. Any other failure rejects. */
export async function fetchSources(
  ctx: NodeContext,
  namespace: string,
  refs: readonly { kind: "ConfigMap" | "Secret"; name: string }[],
  signal: AbortSignal,
): Promise<Lookup> {
  const found = new Map<string, ConfigSource>();
  const unique = new Map(refs.map((r) => [`${r.kind}/${r.name}`, r]));
  const fetchOne = async (key: string, r: { kind: "ConfigMap" | "Secret"; name: string }) => {
    try {
      const { client } = ctx;
      const source: ConfigSource =
        r.kind === "ConfigMap"
          ? await client.resource<ConfigMap>(configMaps, namespace).get(r.name, signal)
          : await client.resource<Secret>(secrets, namespace).get(r.name, signal);
      found.set(key, source);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  };
  await Promise.all([...unique].map(([key, r]) => fetchOne(key, r)));
  return (kind, name) => found.get(`${kind}/${name}`);
}
