/** The containers of a cluster on this machine: by which runtime they run, and how all of them are taken away. */
import { DockerRuntime } from "../../pkg/runtime/docker/docker.ts";
import { clusterNames } from "../../pkg/network/pod/links.ts";
import { type ContainerRuntime, RuntimeError, type RuntimePod } from "../../pkg/runtime/runtime.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { dockerSocket } from "./docker-socket.ts";
import { removeNetwork } from "./network.ts";

/** What containers get between TERM and KILL when the whole cluster stops. */
const STOP_GRACE_SECONDS = 2;
/** Containers are gone by then, or left for the next start to find. */
const REMOVE_DEADLINE_MS = 45_000;
const REMOVE_AGAIN_MS = 1_000;

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
