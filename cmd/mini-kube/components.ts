/**
 * What a cluster needs beside the API to run Pods. A module of its own, so that it is loaded when the API answers already:
 * nobody waits for it until then.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { runAgent } from "../../pkg/agent/agent.ts";
import { discoverDevices } from "../../pkg/agent/devices/discover.ts";
import { SERVER_VERSION } from "../../pkg/apiserver/discovery.ts";
import type { User } from "../../pkg/apiserver/handler.ts";
import { RequestMetrics } from "../../pkg/apiserver/request-metrics.ts";
import type { ApiServer } from "../../pkg/apiserver/server.ts";
import { resourceName } from "../../pkg/api/not-honoured.ts";
import { Client } from "../../pkg/client/client.ts";
import type { Transport } from "../../pkg/client/transport.ts";
import { runControllers } from "../../pkg/controllers/controllers.ts";
import type { ControllerSettings } from "../../pkg/controllers/parts.ts";
import { runAsLeader } from "../../pkg/reconcile/leader.ts";
import { DockerRuntime } from "../../pkg/runtime/docker/docker.ts";
import { clusterNames } from "../../pkg/network/pod/links.ts";
import type { Ranges } from "../../pkg/network/pod/ranges.ts";
import { podMtu } from "../../pkg/network/pod/uplink.ts";
import { type ContainerRuntime, RuntimeError, type RuntimePod } from "../../pkg/runtime/runtime.ts";
import { runScheduler } from "../../pkg/scheduler/scheduler.ts";
import { systemClock, systemRandom } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import type { KeyPair } from "../../pkg/util/pki.ts";
import type { NodeSettings } from "./node-flags.ts";
import { ensureDefinitions } from "./definitions.ts";
import { dockerSocket } from "./docker-socket.ts";
import { type IngressSettings, startIngress } from "./ingress.ts";
import { dnsAddress, nodeNetwork, removeNetwork } from "./network.ts";

/** What containers get between TERM and KILL when the whole cluster stops. */
const STOP_GRACE_SECONDS = 2;
/** Containers are gone by then, or left for the next start to find. */
const REMOVE_DEADLINE_MS = 45_000;
const REMOVE_AGAIN_MS = 1_000;
const LOOPBACK = "127.0.0.1";
const SERVICE_ACCOUNT = "system:serviceaccount:kube-system";
const SERVICE_ACCOUNTS = ["system:serviceaccounts", "system:serviceaccounts:kube-system"];

export interface ComponentsNetwork extends Ranges {
  /** Where other machines reach this one; undefined: nobody beyond this machine reaches anything. */
  readonly address: string | undefined;
  /** What the network lacks on this machine; undefined: nothing. */
  readonly lacks: string | undefined;
  /** The bridge of the Pods is there: with what the agent is to serve at its address. */
  readonly onGateway: (address: string) => Promise<KeyPair>;
}

export interface ComponentsOptions {
  /** In-process calls as this user. */
  readonly transport: (user: User) => Transport;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  readonly clusterId: string;
  readonly network: ComponentsNetwork;
  /** Where the agent listens and the node is reached. */
  readonly host: string;
  /** Where the agent keeps the volumes of Pods. */
  readonly dataDir: string;
  /** The agent's, and the CA of whoever may call it. */
  readonly agentCert: KeyPair;
  readonly caCert: string;
  readonly controllers: ControllerSettings;
  /** What is said of this machine's resources. */
  readonly node: NodeSettings;
  readonly ingress: IngressSettings;
  /** Other processes may act on the same store: of scheduler and controllers one acts at a time. */
  readonly replicated: boolean;
  readonly log: Logger;
}

/** Starts them. By name; each promise settles only when the signal aborts, or when the component breaks. */
export function startComponents(o: ComponentsOptions, signal: AbortSignal): Readonly<Record<string, Promise<void>>> {
  const component = (name: string, user: string, groups: string[] = []) => ({
    client: new Client(o.transport({ name: user, groups: [...groups, "system:authenticated"] }), name),
    clock: systemClock,
    random: systemRandom,
    log: o.log.child({ component: name }),
  });
  const manager = component("kube-controller-manager", "system:kube-controller-manager");
  const network =
    o.network.lacks === undefined
      ? nodeNetwork({ ...o, ...component("node-network", `${SERVICE_ACCOUNT}:node-network`, SERVICE_ACCOUNTS) })
      : undefined;
  let foundGateway: (address: string) => void = () => {};
  const gateway = new Promise<string>((resolve) => (foundGateway = resolve));
  const agent = {
    ...component("kubelet", `system:node:${o.nodeName}`, ["system:nodes"]),
    runtime: o.runtime,
    nodeName: o.nodeName,
    address: o.host,
    dataDir: join(o.dataDir, "agent"),
    version: SERVER_VERSION.gitVersion,
    serve: { host: o.host, port: 0, ...o.agentCert, clientCa: o.caCert },
    ...(network && {
      drained: network.drained,
      guarded: network.guarded,
      clusterDns: [dnsAddress(o.network.serviceCidr)],
    }),
    network: {
      name: podBridge(o.clusterId),
      mtu: podMtu(o.network.address),
      masquerade: o.network.lacks !== undefined,
      lacks: o.network.lacks,
      useGateway: o.network.address === undefined,
      onGateway: (address: string) => {
        foundGateway(address);
        return o.network.onGateway(address);
      },
    },
  };
  const identity = `${o.nodeName}_${randomUUID()}`;
  const once = (name: string, parts: typeof manager, run: (s: AbortSignal) => Promise<void>): Promise<void> =>
    o.replicated
      ? runAsLeader({ ...parts, identity, lease: { namespace: "kube-system", name } }, run, signal)
      : run(signal);
  const scheduler = component("default-scheduler", "system:kube-scheduler");
  const ingress = component("ingress", "system:serviceaccount:kube-system:ingress-controller", SERVICE_ACCOUNTS);
  return {
    scheduler: once("kube-scheduler", scheduler, (s) => runScheduler(scheduler, s)),
    "controller manager": once("kube-controller-manager", manager, async (s) => {
      await ensureDefinitions(manager);
      await runControllers({ ...manager, ...o.controllers }, s);
    }),
    agent: discoverDevices(process.env["PATH"]).then((found) =>
      runAgent({ ...agent, ...o.node, devices: { ...found, ...o.node.devices } }, signal),
    ),
    ...(network && { network: network.run(signal) }),
    ingress: startIngress(
      { ...ingress, nodeName: o.nodeName, addresses: [...new Set([o.host, LOOPBACK])], gateway, settings: o.ingress },
      signal,
    ),
  };
}

/** Counted from here on: nobody waits for it at the start. */
export function requestMetrics(api: ApiServer): RequestMetrics {
  const stored = () => api.resources.all.filter((d) => !d.virtual && !d.view);
  const objects = () => stored().map((d) => [resourceName(d), [...api.view.list(d)].length] as const);
  return new RequestMetrics({ clock: systemClock, objects });
}

/** The daemon that DOCKER_HOST names, else the one at the usual socket. */
export function openRuntime(clusterId: string, nodeName: string, env: NodeJS.ProcessEnv): DockerRuntime {
  const socketPath = dockerSocket(env);
  return new DockerRuntime({ clusterId, nodeName, ...(socketPath !== undefined && { socketPath }) });
}

/** The name of the Pods' network on this node, and of its bridge. */
export const podBridge = (clusterId: string) => clusterNames(clusterId).bridge;

/**
 * Containers, networks and rules; the number of Pods that were there. What cannot be removed keeps nothing else from
 * being removed; then it rejects.
 */
export async function removeAll(runtime: ContainerRuntime, clusterId: string): Promise<number> {
  const signal = () => AbortSignal.timeout(REMOVE_DEADLINE_MS);
  const [pods] = await Promise.allSettled([removePods(runtime)]);
  // Sandboxes are in it, so after them; those that are left it takes with it.
  const [bridge] = await Promise.allSettled([runtime.removeNetwork(podBridge(clusterId), signal())]);
  await removeNetwork(clusterId, signal());
  if (bridge.status === "rejected") throw bridge.reason;
  if (pods.status === "rejected") throw pods.reason;
  return pods.value;
}

/** Stops and removes every container of the cluster; the number of Pods that were there. */
export async function removePods(runtime: ContainerRuntime): Promise<number> {
  const signal = AbortSignal.timeout(REMOVE_DEADLINE_MS);
  const pods = await runtime.listPods(signal);
  await Promise.all(pods.map((pod) => untilRemoved(runtime, pod, signal)));
  await runtime.removeMemoryVolumes(undefined, signal);
  return pods.length;
}

/** Docker gives up on a container after some seconds; one of thousands of processes takes longer to end. */
async function untilRemoved(runtime: ContainerRuntime, pod: RuntimePod, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await removePod(runtime, pod, signal);
    } catch (error) {
      const passes = error instanceof RuntimeError && error.retryable && error.reason !== "RuntimeUnavailable";
      if (signal.aborted || !passes) throw error;
      await systemClock.sleep(REMOVE_AGAIN_MS, signal);
    }
  }
}

async function removePod(runtime: ContainerRuntime, pod: RuntimePod, signal: AbortSignal): Promise<void> {
  const running = pod.containers.filter((c) => c.state === "running");
  await Promise.all(running.map((c) => runtime.stopContainer(c.id, STOP_GRACE_SECONDS, signal)));
  await Promise.all(pod.containers.map((c) => runtime.removeContainer(c.id, signal)));
  if (pod.sandbox) await runtime.removeSandbox(pod.sandbox.id, signal);
}
