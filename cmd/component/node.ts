/** A node: the agent that runs its Pods, and the network that makes them found. */
import { join } from "node:path";
import { runAgent } from "../../pkg/agent/agent.ts";
import { discoverDevices } from "../../pkg/agent/devices/discover.ts";
import type { ServeOptions } from "../../pkg/agent/server.ts";
import type { Taint } from "../../pkg/api/generated/types.ts";
import { SERVER_VERSION } from "../../pkg/apiserver/discovery.ts";
import type { Transport } from "../../pkg/client/transport.ts";
import type { Ranges } from "../../pkg/network/pod/ranges.ts";
import { podMtu } from "../../pkg/network/pod/uplink.ts";
import type { ContainerRuntime } from "../../pkg/runtime/runtime.ts";
import type { Logger } from "../../pkg/util/log.ts";
import type { Metrics } from "../../pkg/util/metrics.ts";
import type { KeyPair } from "../../pkg/util/pki.ts";
import type { NodeSettings } from "../mini-kube/node-flags.ts";
import { podBridge } from "./containers.ts";
import { dnsAddress, nodeNetwork } from "./network.ts";
import { partsOf } from "./parts.ts";

export const nodeUser = (nodeName: string) => `system:node:${nodeName}`;
export const NODES_GROUP = "system:nodes";

export interface NodeNetworkSettings extends Ranges {
  /** Where other machines reach this one; undefined: nobody beyond this machine reaches anything. */
  readonly address: string | undefined;
  /** What the network lacks on this machine; undefined: nothing. */
  readonly lacks: string | undefined;
  /** The bridge of the Pods is there: with what the agent is to serve at its address, where it is to. */
  readonly onGateway?: (address: string) => Promise<KeyPair>;
}

export interface NodeProgram {
  /** As {@link nodeUser}. */
  readonly transport: Transport;
  /** Of its network; the same, where that acts as the node itself. */
  readonly networkTransport: Transport;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  /** Tells the containers, bridges and rules of this node from those of others on the same machine. */
  readonly clusterId: string;
  readonly network: NodeNetworkSettings;
  /** The agent's own endpoint; the node is reached there. */
  readonly serve: ServeOptions & { readonly host: string };
  /** Where the agent keeps the volumes of Pods. */
  readonly dataDir: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly Taint[];
  /** What is said of this machine's resources. */
  readonly settings: NodeSettings;
  readonly onReady?: () => void;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

export interface RunningNode {
  /** By name; each settles only when the signal aborts, or when the component breaks. */
  readonly components: Readonly<Record<string, Promise<void>>>;
  /** The address of the Pods' bridge, as soon as the node is reached there. */
  readonly gateway: Promise<string>;
}

export function startNode(o: NodeProgram, signal: AbortSignal): RunningNode {
  const { lacks, address, serviceCidr, onGateway } = o.network;
  const network =
    lacks === undefined
      ? nodeNetwork({ ...o, node: o.settings, ...partsOf("node-network", o.networkTransport, o.log, o.metrics) })
      : undefined;
  let foundGateway: (address: string) => void = () => {};
  const gateway = new Promise<string>((resolve) => (foundGateway = resolve));
  const agent = {
    ...partsOf("kubelet", o.transport, o.log, o.metrics),
    runtime: o.runtime,
    nodeName: o.nodeName,
    address: o.serve.host,
    dataDir: join(o.dataDir, "agent"),
    version: SERVER_VERSION.gitVersion,
    serve: o.serve,
    ...(o.labels && { labels: o.labels }),
    ...(o.taints && { taints: o.taints }),
    ...(o.onReady && { onReady: o.onReady }),
    ...(network && {
      drained: network.drained,
      guarded: network.guarded,
      clusterDns: [dnsAddress(serviceCidr)],
    }),
    network: {
      name: podBridge(o.clusterId),
      mtu: podMtu(address),
      masquerade: lacks !== undefined,
      lacks,
      useGateway: address === undefined,
      ...(onGateway && {
        onGateway: (at: string) => {
          foundGateway(at);
          return onGateway(at);
        },
      }),
    },
  };
  return {
    components: {
      agent: discoverDevices(process.env["PATH"]).then((found) =>
        runAgent({ ...agent, ...o.settings, devices: { ...found, ...o.settings.devices } }, signal),
      ),
      ...(network && { network: network.run(signal) }),
    },
    gateway,
  };
}
