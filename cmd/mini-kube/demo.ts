/** What `npm start` needs of a cluster: start or find one, apply a manifest, wait until its Pods are Ready. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { Pod } from "../../pkg/api/generated/types.ts";
import { pods as podResource } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { isReady } from "../../pkg/api/pod.ts";
import { Client } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import { loadKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { parseYamlDocuments } from "../../pkg/util/yaml.ts";
import { AlreadyRunning, askStatus, type RunningCluster, type StopRequest } from "./home.ts";
import { clusterOptions, homeOf, up } from "./up.ts";

export interface DemoCluster {
  readonly status: RunningCluster;
  readonly kubeconfig: string;
  readonly log: string;
  /** Started by, and living in, this process. */
  readonly ours: boolean;
  /** Resolves when a cluster of ours has stopped. */
  readonly stopped: Promise<void>;
  /** Applies a file with the real CLI; the names of the Pods in it. */
  apply(file: string): Promise<string[]>;
  /** The Pods' addresses. Rejects with the Pods' own explanation when they are not Ready in time. */
  untilReady(names: readonly string[], deadlineMs: number, show: (text: string) => void): Promise<string[]>;
  stop(containers: StopRequest["containers"]): Promise<void>;
  disconnect(): void;
}

export async function startCluster(o: { detach: boolean; port: number; env: NodeJS.ProcessEnv }): Promise<DemoCluster> {
  const home = homeOf(o.env);
  const own = o.detach || (await askStatus(home)) ? undefined : await startHere(o);
  if (o.detach) await up({ detached: ["up", "--port", String(o.port)], env: o.env, say: () => {} });
  const status = own?.status() ?? (await askStatus(home));
  if (!status) throw new Error(`the cluster does not answer; see ${home.log}`);
  const transport = new HttpTransport({
    connection: resolveContext(loadKubeconfig({ files: [home.kubeconfig], required: true })).connection,
  });
  const pods = new Client(transport, "npm-start").resource(podResource, "default");
  return {
    status,
    kubeconfig: home.kubeconfig,
    log: home.log,
    ours: own !== undefined,
    stopped: own?.stopped ?? Promise.resolve(),
    apply: async (file) => {
      const main = new URL("./main.js", import.meta.url).pathname;
      await promisify(execFile)(process.execPath, [main, "apply", "-f", file], { env: o.env });
      const documents = parseYamlDocuments(await readFile(file, "utf8"), file);
      return documents
        .map((d) => d.value as Pod)
        .filter((p) => p.kind === "Pod")
        .map(nameOf);
    },
    untilReady: async (names, deadlineMs, show) => {
      const latest = new Map<string, DeepReadonly<Pod>>();
      const signal = AbortSignal.timeout(deadlineMs);
      for await (const event of pods.watch({}, signal)) {
        if (event.type === "BOOKMARK" || !names.includes(nameOf(event.object))) continue;
        latest.set(nameOf(event.object), event.object);
        show([...latest.values()].map(describe).join("; "));
        const ready = names.map((n) => latest.get(n)).filter((p) => p !== undefined && isReady(p));
        if (ready.length === names.length) return ready.map((p) => p?.status?.podIP ?? "");
      }
      const said = [...latest.values()].map(describe).join("; ") || "no such Pod";
      throw new Error(`not Ready within ${deadlineMs / 1000} s: ${said}. Ask: npx mini-kube describe pod ${names[0]}`);
    },
    stop: async (containers) => own?.stop({ containers }),
    disconnect: () => transport.close(),
  };
}

/** The process began with installing and building: what counts is from here. */
async function startHere(o: { port: number; env: NodeJS.ProcessEnv }) {
  const home = homeOf(o.env);
  const { Cluster } = await import("./cluster.ts");
  try {
    return await Cluster.start({ ...clusterOptions(home, { ...o, say: () => {} }), startedAt: systemClock.now() });
  } catch (error) {
    if (error instanceof AlreadyRunning) return undefined;
    throw error;
  }
}

/** `hello: Pending (web: ContainerCreating)` */
function describe(pod: DeepReadonly<Pod>): string {
  const waiting = (pod.status?.containerStatuses ?? [])
    .filter((c) => !c.ready)
    .map((c) => `${c.name}: ${c.state?.waiting?.reason ?? c.state?.terminated?.reason ?? "not ready"}`);
  return `${nameOf(pod)}: ${pod.status?.phase ?? "Pending"}${waiting.length > 0 ? ` (${waiting.join(", ")})` : ""}`;
}
