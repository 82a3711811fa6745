/**
 * `mini-kube leave`: this machine is a node no more. The opposite of `join`: agent, containers, network and keys go. What
 * hinders one step keeps the data from being removed, so that the next try goes on where this one ended.
 */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { CliError } from "../../pkg/cli/io.ts";
import type { Clock } from "../../pkg/util/clock.ts";
import { certifiedName, clusterIdFile, forgetAgent, stopAgent } from "../component/agent-home.ts";
import { openRuntime, removeAll } from "../component/containers.ts";
import { isInstalled, uninstall } from "./install.ts";

export interface LeaveOptions {
  readonly dataDir: string;
  /** Also what Pods wrote into persistent volumes. */
  readonly purge: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly say: (line: string) => Promise<void>;
}

export async function leaveCluster(o: LeaveOptions): Promise<void> {
  const dataDir = resolve(o.dataDir);
  const idFile = clusterIdFile(dataDir);
  if (!existsSync(idFile)) throw new CliError(`no agent has run on ${dataDir}; name its --data-dir`);
  // Else it would be started again.
  if (isInstalled("agent")) await uninstall({ program: "agent", say: o.say });
  const stopped = await stopAgent(dataDir, o);
  if (stopped) await o.say(`the agent of the node ${stopped.nodeName} has stopped`);
  const name = stopped?.nodeName ?? (await certifiedName(dataDir)) ?? "NAME";
  const id = readFileSync(idFile, "utf8").trim();
  const pods = await removeAll(openRuntime(id, "", o.env), id);
  await o.say(`the containers of ${pods} Pod${pods === 1 ? "" : "s"} and the network are gone`);
  const kept = await forgetAgent(dataDir, o.purge);
  if (kept !== undefined) await o.say(`what Pods wrote into persistent volumes stays in ${kept}`);
  await o.say(`this machine has left; if the cluster still has its Node, there: mini-kube node remove ${name} --force`);
}
