/**
 * What a cluster needs beside the API to run Pods. A module of its own, so that it is loaded when the API answers already:
 * nobody waits for it until then.
 */
import type { User } from "../../pkg/apiserver/handler.ts";
import type { Transport } from "../../pkg/client/transport.ts";
import type { ControllerSettings } from "../../pkg/controllers/parts.ts";
import type { ContainerRuntime } from "../../pkg/runtime/runtime.ts";
import type { Logger } from "../../pkg/util/log.ts";
import type { Metrics } from "../../pkg/util/metrics.ts";
import type { RenewedPair } from "../../pkg/util/renewed-pair.ts";
import { CONTROLLER_MANAGER_USER, startControllerManager } from "../component/controller-manager.ts";
import { newIdentity } from "../component/elected.ts";
import { type IngressSettings, startIngress } from "../component/ingress.ts";
import { NODES_GROUP, type NodeNetworkSettings, nodeUser, startNode } from "../component/node.ts";
import { partsOf } from "../component/parts.ts";
import { SCHEDULER_USER, startScheduler } from "../component/scheduler.ts";
import type { NodeSettings } from "./node-flags.ts";

const LOOPBACK = "127.0.0.1";
const SERVICE_ACCOUNT = "system:serviceaccount:kube-system";
const SERVICE_ACCOUNTS = ["system:serviceaccounts", "system:serviceaccounts:kube-system"];

export interface ComponentsOptions {
  /** In-process calls as this user. */
  readonly transport: (user: User) => Transport;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  readonly clusterId: string;
  readonly network: NodeNetworkSettings;
  /** Where the agent listens and the node is reached. */
  readonly host: string;
  /** Where the agent keeps the volumes of Pods. */
  readonly dataDir: string;
  /** The agent's, and the CA of whoever may call it. */
  readonly agentPair: RenewedPair;
  readonly caCert: string;
  readonly controllers: ControllerSettings;
  /** What is said of this machine's resources. */
  readonly node: NodeSettings;
  readonly ingress: IngressSettings;
  /** Other processes may act on the same store: of scheduler and controllers one acts at a time. */
  readonly replicated: boolean;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

/** Starts them. By name; each promise settles only when the signal aborts, or when the component breaks. */
export function startComponents(o: ComponentsOptions, signal: AbortSignal): Readonly<Record<string, Promise<void>>> {
  const { log, nodeName, metrics } = o;
  const as = (name: string, groups: readonly string[] = []) =>
    o.transport({ name, groups: [...groups, "system:authenticated"] });
  const identity = o.replicated ? newIdentity(nodeName) : undefined;
  const scheduler = { transport: as(SCHEDULER_USER), identity, log, metrics };
  const manager = { transport: as(CONTROLLER_MANAGER_USER), settings: o.controllers, identity, log, metrics };
  const node = startNode(
    {
      ...o,
      transport: as(nodeUser(nodeName), [NODES_GROUP]),
      networkTransport: as(`${SERVICE_ACCOUNT}:node-network`, SERVICE_ACCOUNTS),
      settings: o.node,
      serve: { host: o.host, port: 0, pair: o.agentPair, clientCa: o.caCert },
    },
    signal,
  );
  const ingress = {
    ...partsOf("ingress", as(`${SERVICE_ACCOUNT}:ingress-controller`, SERVICE_ACCOUNTS), log, metrics),
    nodeName,
    addresses: [...new Set([o.host, LOOPBACK])],
    gateway: node.gateway,
    settings: o.ingress,
  };
  return {
    scheduler: startScheduler(scheduler, signal),
    "controller manager": startControllerManager(manager, signal),
    ...node.components,
    ingress: startIngress(ingress, signal),
  };
}
