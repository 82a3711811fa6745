/** Fetches what a container's description refers to, and describes it to the runtime. */
import { readFile } from "node:fs/promises";
import { join, normalize } from "node:path";
import type { ContainerConfig } from "../runtime/runtime.ts";
import { containerConfig, type ContainerInput } from "./config.ts";
import { fetchSources, type NodeContext } from "./context.ts";
import { ConfigError, envReferences, resolveEnv } from "./env.ts";
import type { Container, Pod } from "./facts.ts";
import { mountsOf } from "./mounts.ts";
import { runtimeHandlerOf } from "./runtime-class.ts";
import { seccompProfileFile } from "./security.ts";
import { readEnvFiles } from "./volumes.ts";

export interface DescribeOptions extends Pick<
  ContainerInput,
  "pod" | "container" | "attempt" | "sandboxId" | "podIP" | "imageUser" | "devices" | "pids"
> {
  /** Told of what had to be left out. */
  readonly warn: (reason: string, message: string) => void;
}

/** Rejects with a {@link ConfigError} for what cannot be made from this spec now. */
export async function describeContainer(
  ctx: NodeContext,
  { warn, ...o }: DescribeOptions,
  signal: AbortSignal,
): Promise<ContainerConfig> {
  const { pod, container } = o;
  const { dataDir, hostIP, allocatable, nodeMemory } = ctx;
  const namespace = pod.metadata.namespace ?? "";
  const [lookup, files, seccompProfile, handler] = await Promise.all([
    fetchSources(ctx, namespace, envReferences(container), signal),
    readEnvFiles(dataDir, pod, container),
    readProfile(dataDir, pod, container),
    runtimeHandlerOf(ctx, pod, signal),
  ]);
  const services = ctx.serviceVariables(namespace, pod.spec?.enableServiceLinks ?? true);
  const input = { ...o, lookup, files, services, hostIP, allocatable, nodeMemory };
  const env = () => new Map(resolveEnv(input).map((e) => [e.name, e.value]));
  const { appArmor = false, recursiveReadOnly = false } = ctx.abilities;
  const volumes = await mountsOf({ dataDir, pod, container, env, nodeMemory, recursiveReadOnly });
  const own = ctx.podFiles.mounts(pod, container, (message) => warn("DNSConfigForming", message));
  const mounts = { ...volumes, mounts: [...volumes.mounts, ...own] };
  const profile = seccompProfile === undefined ? {} : { seccompProfile };
  return { ...containerConfig({ ...input, mounts, appArmor, ...profile }), ...handler };
}

async function readProfile(dataDir: string, pod: Pod, c: Container): Promise<string | undefined> {
  const file = seccompProfileFile(pod, c);
  if (file === undefined) return undefined;
  const root = join(dataDir, "seccomp");
  const path = normalize(join(root, file));
  try {
    if (!path.startsWith(`${root}/`)) throw new Error("it is not below the directory of profiles");
    const text = await readFile(path, "utf8");
    JSON.parse(text);
    return text;
  } catch (error) {
    throw new ConfigError(`cannot load seccomp profile ${JSON.stringify(path)}: ${(error as Error).message}`);
  }
}
