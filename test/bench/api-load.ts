/** What is asked of an API server under load, and the two processes that do it: the server, and one client. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Job, Load, Result } from "./api-client.ts";
import type { ServerReady, ServerStart } from "./api-server.ts";
import { Child } from "./child.ts";

export const KINDS = {
  ConfigMap: {
    path: "/api/v1/namespaces/default/configmaps",
    body: JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "NAME", labels: { app: "bench" } },
      data: { "config.yaml": "x".repeat(256) },
    }),
  },
  Pod: {
    path: "/api/v1/namespaces/default/pods",
    body: JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "NAME", labels: { app: "bench", "pod-template-hash": "5d59d67564" } },
      spec: {
        containers: [
          {
            name: "app",
            image: "nginx:1.27",
            ports: [{ containerPort: 80 }],
            env: [{ name: "LOG", value: "info" }],
            resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { memory: "128Mi" } },
            readinessProbe: { httpGet: { path: "/", port: 80 } },
          },
        ],
      },
    }),
  },
};

/** A server on a store of its own, for as long as `use` takes. `store`: as `mini-kube up --store`. */
export async function withServer<T>(store: string, use: (server: ServerReady, child: Child) => Promise<T>): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), "mk-bench-"));
  const child = new Child("api-server.ts");
  try {
    return await use(await child.ask<ServerReady>({ store, dataDir } satisfies ServerStart), child);
  } finally {
    await child.end();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** The client's process. */
export class BenchClient {
  readonly #child = new Child("api-client.ts");
  #loads = 0;

  /** New names each time. */
  load(kind: keyof typeof KINDS, o: Pick<Load, "count" | "inFlight">): Load {
    return { ...KINDS[kind], prefix: `n${this.#loads++}`, ...o };
  }

  /** Per second. */
  async rate(job: Extract<Job, { load: Load }>): Promise<number> {
    return (await this.ask<Extract<Result, { rate: number }>>(job)).rate;
  }

  ask<T extends Result>(job: Job): Promise<T> {
    return this.#child.ask<T>(job);
  }

  end(): Promise<void> {
    return this.#child.end();
  }
}
